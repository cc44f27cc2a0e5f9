"""JSON lines: an object, a text or an array on each."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Final

from geocache.blocklists.formats.base import Found, Head, Options, Source
from geocache.blocklists.formats.json_values.choice import read_chosen
from geocache.blocklists.formats.json_values.cursor import DECODER
from geocache.blocklists.formats.json_values.rows import JsonRow, RowReader

COMMENT: Final = ("#", "//")
# Between the lines of an array, which some write as lines.
BRACKETS: Final = ("", "[", "]", ",")
# What a line ends with that is none by itself.
GOING_ON: Final = ("[", "{", ",", ":")
TOLD_BY: Final = 20


class JsonLines:
    """One value a line."""

    name = "JSON lines"

    def matches(self, head: Head) -> bool:
        """Tell whether most of its first lines are objects or arrays, each by itself."""
        meant = (line.strip() for line in head.lines if line.strip())
        lines = list(islice((line for line in meant if not line.startswith(COMMENT)), TOLD_BY))
        if len(lines) < 2 or lines[0] in BRACKETS:
            return False
        # One document may have a value of a list on each line.
        goes_on = lines[0].endswith(GOING_ON) and not _is_whole(lines[0])
        return not goes_on and _whole_count(lines) * 2 >= len(lines)

    def read(self, source: Source, options: Options) -> Iterator[Found]:
        reader = RowReader(options.column, options.own_jail)

        def rows() -> Iterator[JsonRow]:
            for number, text in source.lines():
                line = text.strip().rstrip(",")
                if line.startswith(COMMENT):
                    yield JsonRow(number, [], line)
                elif line not in BRACKETS:
                    yield from _rows(reader, number, line)

        return read_chosen(rows, options)


def _rows(reader: RowReader, number: int, line: str) -> Iterator[JsonRow]:
    try:
        value = DECODER.decode(line)
    except (json.JSONDecodeError, RecursionError):
        yield JsonRow(number, [], line, "is not JSON")
        return
    for one in value if isinstance(value, list) else [value]:
        yield from reader.read(one, "", number)


def _whole_count(lines: list[str]) -> int:
    return sum(map(_is_whole, lines))


def _is_whole(line: str) -> bool:
    if not line.startswith(("{", "[")):
        return False
    try:
        DECODER.decode(line.rstrip(","))
    except (json.JSONDecodeError, RecursionError):
        return False
    return True
