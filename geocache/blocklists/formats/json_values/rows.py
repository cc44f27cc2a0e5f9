"""What the values of a JSON document say of addresses, by the names of their keys."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from geocache.addresses.blocks import is_entry
from geocache.blocklists.formats import column_names
from geocache.blocklists.formats.base import ODD_SCORE
from geocache.blocklists.formats.column_names import plain_name
from geocache.blocklists.formats.json_values.cursor import Repeated
from geocache.blocklists.formats.tables.head import is_address
from geocache.blocklists.formats.words import (
    addresses_only,
    comment,
    holds_address,
    is_exempt_value,
    is_mask,
    means_exempt,
    score,
    without_port,
    without_scope,
)

MAX_DEPTH: Final = 16
MAX_SHOWN: Final = 200
IS_EXCEPTION: Final = "is an exception"
MAX_NUMBER: Final = 1e15


class Candidate(NamedTuple):
    """Addresses that a key or a list of this name has."""

    name: str
    is_known: bool
    texts: tuple[str, ...]
    score: float | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class JsonRow:
    """One value of a document that may be of addresses."""

    line_number: int
    candidates: Sequence[Candidate]
    # As it stands there.
    value: Any = None
    # Why it is a bad line if none of the candidates is chosen; empty: then it says nothing.
    problem: str = ""
    # It is an object that is a document by itself, or is around other values.
    is_outer: bool = False
    # As in ``{"ip": ..., "data": [...]}``.
    is_around: bool = False

    @property
    def shown(self) -> str:
        """Return the first of it as text."""
        return _shown(self.value)


class RowReader:
    """Makes rows of values."""

    def __init__(self, column: str, own_jail: str = "") -> None:
        """``column`` is the one key that is read; ``own_jail`` is not read."""
        self._column = column
        self._own_jail = own_jail

    def read(self, value: Any, name: str, line: int, depth: int = 0) -> Iterator[JsonRow]:
        """Give what an item of the list ``name`` says."""
        if isinstance(value, str):
            is_known = self._is_chosen(name)
            texts = addresses_only(_clean(without_scope(value)))
            # Texts in a list of another name, such as of tags, need not be addresses.
            problem = "is not an address" if is_known else ""
            yield JsonRow(
                line, [_with_port(Candidate(name, is_known, texts), value)], value, problem
            )
        elif isinstance(value, Repeated):
            yield _bad(line, value, "has a key twice")
        elif isinstance(value, dict) and depth < MAX_DEPTH:
            yield from self._record(value, line, depth)
        elif isinstance(value, list) and _is_pair(value):
            text, points = value[0], score(_text(value[1]))
            candidate = Candidate(name, self._is_chosen(name), addresses_only(_clean(text)), points)
            yield JsonRow(line, [candidate], text, "is not an address")
        else:
            yield _bad(line, value, "is not an address")

    def keyed(self, address: str, value: Any, line: int) -> JsonRow:
        """Return what an object says whose keys are addresses."""
        fields = _fields(value) if isinstance(value, dict) else {}
        texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        words = [text for text in texts if isinstance(text, str)]
        names = map(plain_name, words)
        if value is False or _is_exempt(fields) or any(map(_is_denial, names)):
            return JsonRow(line, [])
        others = [one.texts for one in _known(fields) if one.texts != (address,)]
        if others or isinstance(value, Repeated) or any(map(holds_address, words)):
            return _bad(line, {address: value}, "has another address")
        if _has_odd_score(fields):
            return _bad(line, {address: value}, ODD_SCORE)
        points = _score(fields) if fields else score(_text(value))
        note = ", ".join(words) if words else _comment(fields)
        candidate = Candidate("", True, (address,), points, comment(note))
        return JsonRow(line, [candidate], address, "is not an address")

    def is_exempt(self, scalars: Mapping[str, Any]) -> bool:
        """Tell whether an object with these values says that it is not to be listed."""
        fields = _fields(scalars)
        return _is_exempt(fields) or _has_exempt_value(fields)

    def outer(self, scalars: Mapping[str, Any], line: int, *, is_around: bool) -> Iterator[JsonRow]:
        """Give what an object says by itself, which may be around others."""
        fields = _fields(scalars)
        if fields.get("type") == "metadata":
            yield JsonRow(line, [], scalars)
        elif _is_exempt(fields):
            return
        elif _has_exempt_value(fields):
            yield _bad(line, scalars, IS_EXCEPTION)
        elif candidates := self._candidates(scalars):
            if _has_odd_score(fields):
                yield _bad(line, scalars, ODD_SCORE)
            else:
                yield JsonRow(line, candidates, scalars, is_outer=True, is_around=is_around)
        elif not is_around and any(value is not None for value in scalars.values()):
            yield _bad(line, scalars, "has no key of an address")

    def jail(self, value: Mapping[str, Any], line: int) -> Iterator[JsonRow]:
        """Give the bans of a jail, as ``fail2ban-client banned`` writes them."""
        for name, texts in value.items():
            if name != self._own_jail:
                for text in texts:
                    yield from self.read(text, "", line)

    def _is_chosen(self, name: str) -> bool:
        plain = plain_name(name)
        if self._column:
            return plain == plain_name(self._column)
        return not plain or plain in column_names.ADDRESS_LISTS

    def _record(self, value: dict[str, Any], line: int, depth: int) -> Iterator[JsonRow]:
        fields = _fields(value)
        if "decisions" in fields:
            # An alert of CrowdSec: what else it says of addresses are no decisions.
            yield from self._items(fields["decisions"] or [], "decisions", line, depth + 1)
        elif fields.get("type") == "metadata":
            yield JsonRow(line, [], value)
        elif _is_exempt(fields):
            yield JsonRow(line, [])
        elif _has_exempt_value(fields):
            yield _bad(line, value, IS_EXCEPTION)
        elif candidates := self._candidates(value):
            if _has_odd_score(fields):
                yield _bad(line, value, ODD_SCORE)
            else:
                yield JsonRow(line, candidates, value, "has none of the keys that are read")
        else:
            inner = list(self._nested(value, line, depth))
            yield from inner or [_bad(line, value, "has no key of an address")]

    def _nested(self, value: dict[str, Any], line: int, depth: int) -> Iterator[JsonRow]:
        for key, held in value.items():
            name = plain_name(key)
            if column_names.is_exempt_list(name) or name in NOT_READ:
                yield JsonRow(line, [])
            elif isinstance(held, dict):
                if is_entry(key):
                    yield self.keyed(key, held, line)
                else:
                    yield from self.read(held, key, line, depth + 1)
            elif isinstance(held, list):
                yield from self._items(held, key, line, depth + 1)

    def _items(self, value: Any, name: str, line: int, depth: int) -> Iterator[JsonRow]:
        for one in value if isinstance(value, list) else [value]:
            yield from self.read(one, name, line, depth)

    def _candidates(self, value: Mapping[str, Any]) -> list[Candidate]:
        fields, titles = _fields(value), {plain_name(key): key for key in value}
        points, note = _score(fields), _comment(fields)
        found = _named(fields, self._column) if self._column else _known(fields) or _unknown(fields)
        return [
            one._replace(
                name=titles.get(one.name, one.name),
                score=points,
                comment=comment(f"{one.comment} {note}"),
            )
            for one in found
        ]


# Parts of answers that say nothing of what is listed.
NOT_READ: Final = frozenset({"events", "meta", "metadata"})


def _known(fields: Mapping[str, Any]) -> list[Candidate]:
    """Return the addresses under the keys that lists usually have."""
    value, scope = fields.get("value"), fields.get("scope")
    if isinstance(value, str) and isinstance(scope, str):
        # CrowdSec's; of other scopes are countries and the numbers of networks.
        text = value if scope.lower() in ("ip", "range") else f"{scope}:{value}"
        return [Candidate("value", True, (_clean(text),))]
    for first in fields:
        ends = fields[first], fields.get(column_names.RANGES.get(first, ""))
        if all(isinstance(end, str) and is_entry(end) for end in ends):
            return [Candidate(first, True, (f"{ends[0]}-{ends[1]}",))]
    names = [name for name in fields if name in column_names.ADDRESS]
    return [one for name in names for one in _of_key(fields, name, is_known=True)]


def _unknown(fields: Mapping[str, Any]) -> list[Candidate]:
    held = [
        name
        for name, value in fields.items()
        if isinstance(value, str) and is_address(value) and not column_names.is_exempt_list(name)
    ]
    return [one for name in held for one in _of_key(fields, name, is_known=False)]


def _named(fields: Mapping[str, Any], column: str) -> list[Candidate]:
    if found := _of_key(fields, plain_name(column), is_known=True):
        return found
    for place in (place for place, letter in enumerate(column) if letter == "-"):
        ends = [fields.get(plain_name(one)) for one in (column[:place], column[place + 1 :])]
        if all(isinstance(end, str) for end in ends):
            return [Candidate(column, True, (_clean(f"{ends[0]}-{ends[1]}"),))]
    return []


def _of_key(fields: Mapping[str, Any], name: str, *, is_known: bool) -> list[Candidate]:
    value = fields.get(name)
    held = value if isinstance(value, list) else [value]
    texts = [text for text in held if isinstance(text, str) and text.strip()]
    if not texts or len(texts) < len(held):
        return []
    if len(texts) > 1 or "/" in texts[0]:
        found = [one for text in texts for one in addresses_only(_clean(text))]
        return [Candidate(name, is_known, tuple(found))]
    text = without_scope(texts[0])
    for other in column_names.MASK.intersection(fields) - {name}:
        mask = _text(fields[other])
        if is_mask(mask) or (mask and "mask" in other):
            return [Candidate(name, is_known, (_clean(f"{text}/{mask.removeprefix('/')}"),))]
    return [_with_port(Candidate(name, is_known, addresses_only(_clean(text))), text)]


def _with_port(candidate: Candidate, text: str) -> Candidate:
    port = without_port(text.strip())[1]
    return candidate._replace(comment=f"port {port}") if port else candidate


def _is_exempt(fields: Mapping[str, Any]) -> bool:
    flags = [(name, held) for name, held in fields.items() if name in column_names.FLAGS]
    return column_names.is_exempt((name, _text(held)) for name, held in flags) or any(
        isinstance(held, dict) and name in column_names.KIND and _is_exempt(_fields(held))
        for name, held in flags
    )


def _has_exempt_value(fields: Mapping[str, Any]) -> bool:
    """Tell whether one of the values says so, whatever it is called."""
    return any(isinstance(value, str) and is_exempt_value(value) for value in fields.values())


def _is_denial(word: str) -> bool:
    return means_exempt(word) or word in column_names.DENIALS


def _score(fields: Mapping[str, Any]) -> float | None:
    for name in column_names.SCORE:
        if name in fields and (points := score(_text(fields[name]))) is not None:
            return points
    return None


def _has_odd_score(fields: Mapping[str, Any]) -> bool:
    """Tell whether a number was meant as a score that is none, as ``1,5``; ``high`` is a word."""
    if _score(fields) is not None:
        return False
    texts = (fields[name] for name in column_names.SCORE if isinstance(fields.get(name), str))
    return any(text.strip()[:1].isdecimal() for text in texts)


def _comment(fields: Mapping[str, Any]) -> str:
    for name in column_names.COMMENT:
        value = fields.get(name)
        if isinstance(value, list):
            value = ", ".join(one for one in value if isinstance(one, str))
        if isinstance(value, str) and value.strip():
            return value
    return ""


def _fields(value: Mapping[str, Any]) -> dict[str, Any]:
    return {plain_name(key): held for key, held in value.items()}


def _text(value: Any) -> str:
    """Return a value as a table has it: ``true``, ``24``; nothing for what holds others."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".") if abs(value) < MAX_NUMBER else ""
    return str(value) if isinstance(value, int | str) else ""


def _is_pair(value: list[Any]) -> bool:
    return len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int | float)


def _bad(line: int, value: Any, problem: str) -> JsonRow:
    return JsonRow(line, [], value, problem)


def _shown(value: Any) -> str:
    # A part is enough of what may be long or deep.
    if isinstance(value, dict):
        value = {key: held for key, held in value.items() if not isinstance(held, dict | list)}
    elif isinstance(value, list):
        value = [one for one in value[:20] if not isinstance(one, dict | list)]
    return value[:MAX_SHOWN] if isinstance(value, str) else json.dumps(value)[:MAX_SHOWN]


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
