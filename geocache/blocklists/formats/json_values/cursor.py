"""Read a JSON document value by value: memory is needed for the longest value alone."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from geocache.exceptions import ImportFailed

# In letters: of one value; a list of addresses consists of many.
MAX_VALUE: Final = 2**24
SPACE: Final = re.compile(r"\s*+")
# A number may go on behind what could be all of it: 1, 1e, 1e5.
NUMBER_LENGTH: Final = 512
SHOWN_LETTERS: Final = 40
# Why a place is a bad line, where what stands before it is read.
IS_BROKEN: Final = "is not JSON that can be read: what follows is passed over"


class JsonError(ImportFailed):
    """What stands here is not JSON, or not what is read here."""


class Repeated(dict[str, Any]):
    """An object that has a key twice, so that what it says is not known."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(found)


def _integer(text: str) -> float:
    # Python refuses to read integers of very many digits.
    return int(text) if len(text) < 20 else float(text)


DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)


class JsonCursor:
    """A place in a document. Each value is taken before the next one is asked for.

    Every method raises ``JsonError`` where something else stands than it takes.
    """

    def __init__(self, chunks: Iterable[str]) -> None:
        self.line_number = 1
        self._chunks = iter(chunks)
        self._text = ""
        self._at = 0

    def peek(self) -> str:
        """Return the next letter that is not a space; the empty text at the end."""
        while True:
            self._go(SPACE.match(self._text, self._at).end())  # type: ignore[union-attr]  # always
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def value(self) -> Any:
        """Take the next value."""
        self.peek()
        while True:
            try:
                found, end = DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._more():
                    continue
                raise self._error() from None
            except RecursionError:
                where = f"line {self.line_number}"
                raise JsonError(f"its JSON is nested too deeply at {where}") from None
            length = end - self._at
            is_cut = isinstance(found, int | float) and len(self._text) - end < NUMBER_LENGTH
            if not (is_cut and self._more()):
                self._go(self._at + length)
                return found

    def members(self) -> Iterator[str]:
        """Give the keys of an object; the value of each is to be taken."""
        for _ in self._parts("{", "}"):
            if self.peek() != '"':
                raise self._error()
            key = self.value()
            self._take(":")
            yield key

    def items(self) -> Iterator[int]:
        """Give the line of each item of an array; each is to be taken."""
        return self._parts("[", "]")

    def end(self) -> None:
        """Take the end of the document."""
        if self.peek():
            raise self._error()

    def shown(self) -> str:
        """Return the first letters of what stands here."""
        shown = self._text[self._at : self._at + SHOWN_LETTERS]
        return shown.encode("utf-8", "replace").decode()

    def _parts(self, opening: str, closing: str) -> Iterator[int]:
        self._take(opening)
        if self.peek() == closing:
            self._take(closing)
            return
        while True:
            self.peek()
            yield self.line_number
            if self._take(f",{closing}") == closing:
                return

    def _take(self, letters: str) -> str:
        letter = self.peek()
        if not letter or letter not in letters:
            raise self._error()
        self._go(self._at + 1)
        return letter

    def _go(self, place: int) -> None:
        self.line_number += self._text.count("\n", self._at, place)
        self._at = place

    def _more(self) -> bool:
        """Read at least as much again as there is, so that long values take no longer for it."""
        rest = self._text[self._at :]
        if len(rest) > MAX_VALUE:
            where = f"line {self.line_number}"
            raise JsonError(f"{where}: a value of more than {MAX_VALUE:,} letters")
        parts, length = [rest], 0
        for chunk in self._chunks:
            parts.append(chunk)
            length += len(chunk)
            if length > len(rest):
                break
        self._text, self._at = "".join(parts), 0
        return length > 0

    def _error(self) -> JsonError:
        where, shown = f"line {self.line_number}", self.shown()
        if shown:
            return JsonError(f"{where}: it is not JSON from {shown!r} on")
        return JsonError(f"{where}: its JSON is cut off")
