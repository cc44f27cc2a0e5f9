"""Read a JSON document value by value: memory is needed for the longest value alone."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from geocache.exceptions import ImportFailed

# Of one value; a list of addresses consists of many.
MAX_VALUE: Final = 2**24
SPACE: Final = re.compile(r"\s*+")
# A number may go on behind what could be all of it: 1, 1e, 1e5.
NUMBER_LENGTH: Final = 512


class Repeated(dict[str, Any]):
    """An object that has a key twice, so that what it says is not known."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(found)


def _integer(text: str) -> float:
    # Python refuses to read integers of very many digits.
    return int(text) if len(text) < 20 else float(text)


DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)


class Cursor:
    """A place in a document, which is in chunks."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self.line = 1
        self._chunks = iter(chunks)
        self._text = ""
        self._at = 0

    def peek(self) -> str:
        """Return the next letter that is no space; the empty text at the end."""
        while True:
            self._go(SPACE.match(self._text, self._at).end())  # type: ignore[union-attr]  # always
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, letters: str) -> str:
        """Return the next letter and pass it; raise ``ImportFailed`` if it is none of these."""
        letter = self.peek()
        if not letter or letter not in letters:
            raise self._error()
        self._go(self._at + 1)
        return letter

    def value(self) -> Any:
        """Return the next value and pass it; raise ``ImportFailed``."""
        self.peek()
        while True:
            try:
                found, end = DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._more():
                    continue
                raise self._error() from None
            except RecursionError:
                raise ImportFailed(f"its JSON is nested too deeply at line {self.line}") from None
            length = end - self._at
            is_cut = isinstance(found, int | float) and len(self._text) - end < NUMBER_LENGTH
            if not (is_cut and self._more()):
                self._go(self._at + length)
                return found

    def object_keys(self) -> Iterator[str]:
        """Give the keys of an object; the value of each has to be taken before the next."""
        self.take("{")
        if self.peek() == "}":
            self.take("}")
            return
        while True:
            if self.peek() != '"':
                raise self._error()
            key = self.value()
            self.take(":")
            yield key
            if self.take(",}") == "}":
                return

    def array_items(self) -> Iterator[int]:
        """Give the numbers of an array's items; each item has to be taken before the next."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        number = 0
        while True:
            yield number
            number += 1
            if self.take(",]") == "]":
                return

    def _go(self, place: int) -> None:
        self.line += self._text.count("\n", self._at, place)
        self._at = place

    def _more(self) -> bool:
        """Read at least as much again as there is, so that long values take no longer for it."""
        rest = self._text[self._at :]
        if len(rest) > MAX_VALUE:
            raise ImportFailed(f"line {self.line}: a value of more than {MAX_VALUE:,} letters")
        parts, length = [rest], 0
        for chunk in self._chunks:
            parts.append(chunk)
            length += len(chunk)
            if length > len(rest):
                break
        self._text, self._at = "".join(parts), 0
        return length > 0

    def _error(self) -> ImportFailed:
        where = f"line {self.line}"
        shown = self._text[self._at : self._at + 40].encode("utf-8", "replace").decode()
        return ImportFailed(
            f"{where}: it is not JSON from {shown!r} on"
            if shown
            else f"{where}: its JSON is cut off"
        )
