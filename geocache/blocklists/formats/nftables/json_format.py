"""nftables in JSON, libnftables-json(5): ``nft -j list`` writes it, ``nft -j -f`` reads it."""

import json
import re
from collections.abc import Iterator
from typing import Final

from geocache.blocklists.formats.base import BadLine, Found, Head, Options, Source
from geocache.blocklists.formats.firewalls.sets import (
    Add,
    Allow,
    Clear,
    Declare,
    Delete,
    Event,
    read_sets,
    split_components,
)
from geocache.blocklists.formats.json_values.cursor import (
    IS_BROKEN,
    JsonCursor,
    JsonError,
    Repeated,
)
from geocache.blocklists.formats.nftables.names import ADDRESS_FIELDS, ADDRESS_TYPES
from geocache.blocklists.formats.nftables.statements import ACCEPTING

BEGINNING: Final = re.compile(r'\s{0,99}\{\s{0,99}"nftables"\s{0,99}:')
COMMANDS: Final = frozenset(
    ("add", "create", "delete", "destroy", "flush", "insert", "replace", "rename", "reset", "list")
)
TAKING: Final = frozenset(("delete", "destroy"))
OTHER_OBJECTS: Final = frozenset(
    ("metainfo", "chain", "flowtable", "counter", "quota", "limit", "secmark", "synproxy")
) | {"ct helper", "ct timeout", "ct expectation", "meter", "hook", "tunnel"}


class _NftablesJson:
    name: Final = "nftables in JSON"

    def matches(self, head: Head) -> bool:
        return bool(BEGINNING.match(" ".join(line[:200] for line in head.lines[:9])))

    def read(self, source: Source, options: Options) -> Iterator[Found]:
        return read_sets(lambda: _events(source), options)


def _events(source: Source) -> Iterator[Event]:
    cursor = JsonCursor(source.chunks())
    try:
        for key in cursor.members():
            if key == "nftables":
                for _ in cursor.items():
                    yield from _object(cursor, "")
            else:
                yield _unknown(cursor, key)
        cursor.end()
    except JsonError:
        yield BadLine(cursor.line_number, cursor.shown(), IS_BROKEN)


def _object(cursor: JsonCursor, command: str) -> Iterator[Event]:
    for key in cursor.members():
        if key in COMMANDS and not command:
            yield from _object(cursor, key)
        elif key in ("set", "map", "element"):
            yield from _set(cursor, command or "add", key)
        elif key in ("table", "ruleset"):
            described = cursor.value()
            if command in TAKING and key == "table":
                yield Clear(_name(described, "family", "name"))
            elif command == "flush" and key == "ruleset":
                yield Clear(_name(described, "family"))
        elif key == "rule":
            yield from _rule(cursor.value())
        elif key in OTHER_OBJECTS:
            cursor.value()
        else:
            yield _unknown(cursor, key)


def _rule(described: object) -> Iterator[Event]:
    """Tell which sets a rule lets through."""
    table = _name(described, "family", "table")
    match described:
        case {"expr": [*parts]}:
            accepts = any(isinstance(part, dict) and ACCEPTING & part.keys() for part in parts)
            for part in parts:
                match part:
                    case {"match": {"op": op, "right": str() as name}} if name.startswith("@"):
                        if accepts or op == "!=":
                            yield Allow(f"{table} {name[1:]}")


def _unknown(cursor: JsonCursor, key: str) -> BadLine:
    line_number = cursor.line_number
    cursor.value()
    return BadLine(line_number, key, "is not an object of nftables")


def _set(cursor: JsonCursor, command: str, kind: str) -> Iterator[Event]:
    described: dict[str, object] = {}
    # Of a set whose name stands behind its elements.
    waiting: list[Add] = []
    for key in cursor.members():
        if key != "elem":
            described[key] = cursor.value()
        elif kind == "map":
            for _ in _elements(cursor):
                pass
        else:
            is_named = {"table", "name"} <= described.keys()
            name = _name(described, "family", "table", "name")
            for add in _elements(cursor):
                if is_named:
                    yield _event(command, add._replace(name=name))
                else:
                    waiting.append(add)
    name = _name(described, "family", "table", "name")
    yield from (_event(command, add._replace(name=name)) for add in waiting)
    if kind != "element" and (command in TAKING or command == "flush"):
        yield Clear(name)
    elif kind != "element":
        yield Declare(name, kind == "set" and _has_addresses(described.get("type")))


def _event(command: str, add: Add) -> Event:
    if command in TAKING:
        return Delete(add.line_number, add.name, add.text, add.rest)
    return add


def _elements(cursor: JsonCursor) -> Iterator[Add]:
    if cursor.peek() != "[":
        yield _element(cursor.line_number, cursor.value())
        return
    for line_number in cursor.items():
        yield _element(line_number, cursor.value())


def _element(line_number: int, value: object) -> Add:
    comment = ""
    match value:
        case Repeated() | {"elem": Repeated()}:
            pass
        case {"elem": {"val": inner, **others}}:
            value, said = inner, others.get("comment")
            comment = said if isinstance(said, str) else ""
    match value:
        case {"concat": [*parts]} if not isinstance(value, Repeated):
            texts = [_text(part) for part in parts]
        case _:
            texts = [_text(value)]
    if "" in texts or not texts:
        return Add(line_number, "", json.dumps(value)[:200], problem="is not an element of a set")
    text, rest, problem = split_components(texts)
    return Add(line_number, "", text, comment, rest, problem)


def _text(value: object) -> str:
    """Return one part of an element as text; "" for what is not understood."""
    match value:
        case str():
            return value
        case bool() | Repeated() | {"prefix": Repeated()}:
            return ""
        case int():
            return str(value)
        case {"prefix": {"addr": str(address), "len": int(length)}}:
            return f"{address}/{length}"
        case {"range": [str() | int() as first, str() | int() as last]}:
            return f"{first}-{last}"
    return ""


def _name(described: object, *keys: str) -> str:
    """Return family, table and name, as far as they are said."""
    held = described if isinstance(described, dict) else {}
    return " ".join(str(held[key]) for key in keys if held.get(key) is not None)


def _has_addresses(kind: object) -> bool:
    """Tell whether a type, several of them or an expression are of addresses."""
    waiting = [kind]
    while waiting:
        match waiting.pop():
            case None:
                return True
            case str() as name if name in ADDRESS_TYPES:
                return True
            case {"protocol": protocol, "field": field} if field in ADDRESS_FIELDS:
                return bool(protocol != "ether")
            case {"field": "saddr" | "daddr"} | {"key": "saddr" | "daddr" | "nexthop"}:
                return True
            case dict() as inner:
                waiting.extend(one for one in inner.values() if one is not None)
            case list() as inner:
                waiting.extend(one for one in inner if one is not None)
    return False


NFTABLES_JSON: Final = _NftablesJson()
