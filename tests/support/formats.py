"""Texts as the readers of formats get them, and what they give of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from geocache.blocklists.formats.base import Found, Head, Line, Options, Source


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


@dataclass
class GivenFormat:
    """A format whose reader gives what a test says, whatever the list is."""

    name: str
    found: list[Found]

    def matches(self, head: Head) -> bool:  # noqa: ARG002 - it matches all
        return True

    def read(self, source: Source, options: Options) -> list[Found]:  # noqa: ARG002 - as above
        return self.found
