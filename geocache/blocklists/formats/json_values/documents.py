"""JSON documents: arrays and objects as services and firewalls answer with."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from geocache.addresses.blocks import is_entry
from geocache.blocklists.formats.base import Found, Head, Options, Source
from geocache.blocklists.formats.column_names import is_exempt_list, plain_name
from geocache.blocklists.formats.json_values.choice import read_chosen
from geocache.blocklists.formats.json_values.cursor import JsonCursor
from geocache.blocklists.formats.json_values.rows import MAX_DEPTH, NOT_READ, JsonRow, RowReader
from geocache.exceptions import ImportFailed

BEGIN: Final = re.compile(r"\s*+(?:[\[{]\s*+(?:[\[{\]}\"']|$)|null\s*+$)")
# As Python writes lists, and so fail2ban-client.
PYTHON: Final = re.compile(r"[\s\[{]*+'")


class JsonDocument:
    """One document, or several after another."""

    name = "JSON"

    def matches(self, head: Head) -> bool:
        """Tell whether it begins with an array or an object of texts, arrays or objects."""
        return BEGIN.match("\n".join(head.lines[:100])) is not None

    def read(self, source: Source, options: Options) -> Iterator[Found]:
        def rows() -> Iterator[JsonRow]:
            return _Document(source, options).rows()

        return read_chosen(rows, options)


class _Document:
    def __init__(self, source: Source, options: Options) -> None:
        self._reader = RowReader(options.column, options.own_jail)
        chunks = source.chunks()
        head = ""
        while not head.strip("[{ \n") and (chunk := next(chunks, "")):
            head += chunk
        self._is_python = PYTHON.match(head) is not None
        self._cursor = JsonCursor(self._quoted(head, chunks))

    def rows(self) -> Iterator[JsonRow]:
        while letter := self._cursor.peek():
            if letter == "n":
                # What a service answers with that has nothing.
                self._cursor.value()
            else:
                yield from self._value("", 0)

    def _quoted(self, head: str, chunks: Iterator[str]) -> Iterator[str]:
        for chunk in chain((head,), chunks):
            yield chunk.replace("'", '"') if self._is_python else chunk

    def _value(self, name: str, depth: int) -> Iterator[JsonRow]:
        cursor = self._cursor
        letter, line = cursor.peek(), cursor.line_number
        if letter == "[":
            for line in cursor.items():
                value = cursor.value()
                if self._is_python and isinstance(value, dict):
                    yield from self._reader.jail(value, line)
                else:
                    yield from self._reader.read(value, name, line)
        elif letter == "{" and depth < MAX_DEPTH:
            yield from self._object(depth)
        else:
            yield from self._reader.read(cursor.value(), name, line)

    def _object(self, depth: int) -> Iterator[JsonRow]:
        cursor, line = self._cursor, self._cursor.line_number
        scalars: dict[str, Any] = {}
        names: set[str] = set()
        is_exempt = has_read = False
        for key in cursor.members():
            name = plain_name(key)
            letter, at = cursor.peek(), cursor.line_number
            if name in NOT_READ or (is_exempt_list(name) and letter in "[{"):
                cursor.value()
            elif name == "source" and "decisions" in names:
                # Of an alert of CrowdSec.
                cursor.value()
            elif is_entry(key):
                yield self._reader.keyed(key, cursor.value(), at)
            elif letter in "[{" and is_exempt:
                yield JsonRow(at, [], key, "is of what is not to be listed")
                cursor.value()
            elif letter in "[{":
                has_read = True
                yield from self._value(key, depth + 1)
            elif key in scalars:
                yield JsonRow(at, [], key, "stands there twice")
                cursor.value()
            else:
                scalars[key] = cursor.value()
                is_exempt = is_exempt or self._reader.is_exempt({key: scalars[key]})
                continue
            names.add(name)
        if is_exempt and has_read:
            raise ImportFailed(f"line {line}: an object says after its lists that they are allowed")
        yield from self._reader.outer(scalars, line, is_around=bool(names))
