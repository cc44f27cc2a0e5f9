"""The lines of a list, each of them whole."""

from collections.abc import Iterator
from typing import Final

from geocache.blocklists.formats.base import Line, Source
from geocache.exceptions import ImportFailed

# fail2ban writes all bans of a jail into one line: some 250,000 fit.
MAX_LINE: Final = 2**22


def whole_lines(source: Source) -> Iterator[Line]:
    """Give all lines of ``source``; raise ``ImportFailed`` for one that is too long to be held."""
    number, begun = 0, ""
    for chunk in source.chunks():
        *lines, begun = (begun + chunk).split("\n")
        for text in lines:
            number += 1
            yield Line(number, text)
        if len(begun) > MAX_LINE:
            raise ImportFailed(f"line {number + 1} has more than {MAX_LINE:,} letters")
    if begun:
        yield Line(number + 1, begun)
