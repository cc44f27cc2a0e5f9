"""A long document of JSON, read value by value: memory stays flat where a list in it is long."""

import re
from collections.abc import Iterable, Iterator
from json import JSONDecoder
from typing import Final

SPACE: Final = re.compile(r"[ \t\n]*")
# In letters: of one value that is taken as a whole.
MAX_VALUE: Final = 2**21
IS_BROKEN: Final = "is not JSON that can be read: what follows is passed over"


class JsonError(Exception):
    """What stands here is not JSON, or not what is read here."""


class JsonCursor:
    """A place in a document. Each value is taken before the next one is asked for."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self.line_number = 1
        self._chunks = iter(chunks)
        self._is_whole = False
        self._text = ""
        self._at = 0
        self._decoder = JSONDecoder()

    def peek(self) -> str:
        """Return the sign that comes next; "" at the end."""
        while True:
            if found := SPACE.match(self._text, self._at):
                self._go_to(found.end())
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_more():
                return ""

    def value(self) -> object:
        """Take the value that comes next."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except ValueError as error:
                if self._is_whole or len(self._text) - self._at > MAX_VALUE:
                    raise JsonError(self.shown()) from error
            except RecursionError as error:
                raise JsonError(self.shown()) from error
            else:
                # A number at the very end may go on.
                if end < len(self._text) or self._is_whole:
                    self._go_to(end)
                    return value
            self._read_more()

    def members(self) -> Iterator[str]:
        """Give the keys of an object; the value of each is to be taken."""
        for _ in self._parts("{", "}"):
            key = self.value()
            if not isinstance(key, str):
                raise JsonError(self.shown())
            self._take(":")
            yield key

    def items(self) -> Iterator[int]:
        """Give the line of each item of an array; each is to be taken."""
        yield from self._parts("[", "]")

    def shown(self) -> str:
        """Return what stands here."""
        return self._text[self._at : self._at + 80]

    def _parts(self, opening: str, closing: str) -> Iterator[int]:
        self._take(opening)
        if self.peek() == closing:
            self._take(closing)
            return
        while True:
            self.peek()
            yield self.line_number
            if self.peek() != ",":
                self._take(closing)
                return
            self._take(",")

    def _take(self, sign: str) -> None:
        if self.peek() != sign:
            raise JsonError(self.shown())
        self._go_to(self._at + 1)

    def _go_to(self, place: int) -> None:
        self.line_number += self._text.count("\n", self._at, place)
        self._at = place

    def _read_more(self) -> bool:
        chunk = next(self._chunks, "")
        self._is_whole = not chunk
        self._text, self._at = self._text[self._at :] + chunk, 0
        return not self._is_whole
