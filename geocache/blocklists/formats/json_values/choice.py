"""Which keys and lists of a JSON document are read; ties are a question."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from geocache.addresses.blocks import is_entry
from geocache.blocklists.formats.base import BadLine, Element, Found, Options, Remark
from geocache.blocklists.formats.json_values.rows import Candidate, JsonRow
from geocache.exceptions import ImportFailed

# By so many rows is told which keys there are.
SURVEYED_ROWS: Final = 1000
FAMILIES: Final = ("4", "6")


def read_chosen(rows: Callable[[], Iterator[JsonRow]], options: Options) -> Iterator[Found]:
    """Give the elements of what ``rows`` gives, each time it is called; raise ``ImportFailed``."""
    unknown = "" if options.column else _unknown_list(islice(rows(), SURVEYED_ROWS))
    # The last line on which something was read.
    seen_at = 0
    for row in rows():
        chosen = [
            one for one in row.candidates if one.is_known or (unknown and one.name == unknown)
        ]
        if chosen:
            if row.is_around and seen_at >= row.line_number:
                raise ImportFailed(_question([chosen[0].name, "what is inside of the object"]))
            seen_at = row.line_number
            yield _element(row, chosen)
        elif row.problem:
            yield BadLine(row.line_number, row.shown, row.problem)
        elif row.value is not None and not row.candidates:
            yield Remark(row.shown)


def _unknown_list(rows: Iterator[JsonRow]) -> str:
    """Return the one list to read whose name says nothing; empty if names say what to read."""
    unknown: dict[str, bool] = {}
    for row in rows:
        for one in row.candidates:
            if all(map(is_entry, one.texts)):
                if one.is_known:
                    return ""
                unknown[one.name] = not row.problem and not row.is_outer
    if len(unknown) == 1 and all(unknown.values()):
        return next(iter(unknown))
    if unknown:
        raise ImportFailed(_question(list(unknown)))
    return ""


def _element(row: JsonRow, chosen: Sequence[Candidate]) -> Element:
    first = chosen[0]
    if len({one.texts for one in chosen}) == 1:
        return Element(row.line_number, first.texts, first.score, first.comment)
    # An object may have one address of each family.
    families = [[family for family in FAMILIES if family in one.name] for one in chosen]
    if sorted(families) != [[family] for family in FAMILIES]:
        raise ImportFailed(_question([one.name for one in chosen]))
    texts = [text for one in chosen for text in one.texts]
    return Element(row.line_number, tuple(texts), first.score, first.comment)


def _question(names: Sequence[str]) -> str:
    shown = [name[:40] for name in names[:10]]
    if len(shown) == 1:
        return f"the key {shown[0]!r} holds addresses, but may mean others; choose it with --column"
    count = "two" if len(names) == 2 else str(len(names))
    listed = f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"{count} keys hold addresses: {listed}; choose with --column"
