"""Texts as the readers of formats get them, and what they give of them."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from geocache.blocklists.formats.base import (
    BadLine,
    Element,
    Format,
    Found,
    Head,
    Line,
    Options,
    Remark,
    Source,
)
from geocache.exceptions import ImportFailed


class TextSource(Source):
    """A text in memory; ``chunk_size`` cuts it anywhere, as a file is cut."""

    def __init__(self, text: str, *, chunk_size: int = 100_000) -> None:
        self.text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.chunk_size = chunk_size

    def lines(self) -> Iterator[Line]:
        for number, line in enumerate(self.text.removesuffix("\n").split("\n"), 1):
            yield Line(number, line)

    def chunks(self) -> Iterator[str]:
        for start in range(0, len(self.text), self.chunk_size):
            yield self.text[start : start + self.chunk_size]


def is_read_or_said(form: Format, text: str) -> bool:
    """Tell whether a reader gives what it may give, or refuses the text."""
    with suppress(ImportFailed):
        found = list(form.read(TextSource(text, chunk_size=3), Options()))
        return all(isinstance(one, Element | BadLine | Remark) for one in found)
    return True


def elements_of(form: Format, text: str, **options: str) -> list[Element]:
    """Return the elements of a text that has nothing else, cut into chunks."""
    found = list(form.read(TextSource(text, chunk_size=50), Options(**options)))
    assert all(isinstance(one, Element) for one in found), found
    return [one for one in found if isinstance(one, Element)]


def seconds_of(form: Format, text: str) -> float:
    """Return the time of a processor that it takes to read a text."""
    begun = time.process_time()
    with suppress(ImportFailed):
        for _ in form.read(TextSource(text), Options()):
            pass
    return time.process_time() - begun


@dataclass
class GivenFormat:
    """A format whose reader gives what a test says, whatever the list is."""

    name: str
    found: list[Found]

    def matches(self, head: Head) -> bool:  # noqa: ARG002 - it matches all
        return True

    def read(self, source: Source, options: Options) -> list[Found]:  # noqa: ARG002 - as above
        return self.found
