"""What ``ipset list -output json`` writes."""

import json
from collections.abc import Iterable, Iterator
from typing import Final

from geocache.blocklists.formats.base import BadLine
from geocache.blocklists.formats.firewalls.sets import Add, Declare, Event
from geocache.blocklists.formats.ipset.members import NO_MATCH, SetType
from geocache.blocklists.formats.json_values.cursor import (
    IS_BROKEN,
    JsonCursor,
    JsonError,
    Repeated,
)

NOT_A_MEMBER: Final = "is not a member of a set"


def read_json(chunks: Iterable[str]) -> Iterator[Event]:
    """Give the members of all sets."""
    cursor = JsonCursor(chunks)
    try:
        for _ in cursor.items():
            yield from _set(cursor)
        cursor.end()
    except JsonError:
        yield BadLine(cursor.line_number, cursor.shown(), IS_BROKEN)


def _set(cursor: JsonCursor) -> Iterator[Event]:
    # Name, type and header stand before the members.
    name, kind = "", SetType()
    for key in cursor.members():
        if key == "members":
            for line_number in cursor.items():
                yield _member(line_number, name, kind, cursor.value())
            continue
        match key, cursor.value():
            case "name", str() as name:
                pass
            case "type", str() as type_name:
                kind = SetType(type_name)
                yield Declare(name, kind.has_addresses)
            case "header", dict() as header:
                words = [str(word) for pair in header.items() for word in pair]
                kind = SetType.read(kind.name, words)


def _member(line_number: int, name: str, kind: SetType, value: object) -> Add:
    match value:
        case {"elem": str(text), **others} if text and not isinstance(value, Repeated):
            words = [text]
            if isinstance(others.get("comment"), str):
                words += ["comment", f'"{others["comment"]}"']
            if NO_MATCH in others:
                words.append(NO_MATCH)
            return kind.member(line_number, name, words)
    return Add(line_number, name, json.dumps(value)[:200], problem=NOT_A_MEMBER)
