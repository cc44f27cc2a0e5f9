"""What is in a JSON answer: values at dotted paths, and a reader for each field."""

import re
from collections.abc import Callable
from typing import Final

from geocache.providers.coercion import asn, country_code, integer, is_nothing, number, words

NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
# "AS64500 Test Networks", as several services write number and name of an operator; "AS-" of none.
AS_NUMBER: Final = re.compile(
    r"^\s*ASN? ?(?:([0-9]{1,10})(?:\s+|$)|-?\s*$)", re.ASCII | re.IGNORECASE
)


def has_path(record: object, path: str) -> bool:
    """Tell whether there is anything at a dotted path, be it null."""
    parent, _, last = path.rpartition(".")
    holder = pick(record, parent) if parent else record
    return last in holder if isinstance(holder, dict) else pick(record, path) is not None


def pick(record: object, path: str) -> object:
    """Return what is at a dotted path, or None.

    A number in it picks from a list, or from the parts of a text between commas.
    """
    value = record
    for step in path.split(".") if path else ():
        if isinstance(value, str) and step.isdigit():
            value = value.split(",")
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _figure(value: object) -> object:
    """Return the number that a text holds; anything else as it is."""
    is_number = isinstance(value, str) and NUMBER.fullmatch(value.strip())
    return float(value) if is_number and isinstance(value, str) else value


def _whole(value: object) -> object:
    figure = _figure(value)
    return int(figure) if isinstance(figure, float) and figure.is_integer() else figure


def _words(value: object) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return words(str(value) if is_number else value)


def _asn(value: object) -> int | None:
    found = AS_NUMBER.match(value) if isinstance(value, str) else None
    return asn(int(found[1] or 0) if found else _whole(value))


def _operator(value: object) -> object:
    """Return what stands after the number of an operator; anything else as it is."""
    return AS_NUMBER.sub("", value, count=1) if isinstance(value, str) else value


def is_unread(value: object) -> bool:
    """Tell whether a value that no reader can read says something."""
    return not is_nothing(_operator(value))


READERS: Final[dict[str, Callable[[object], object]]] = {
    "country_code": country_code,
    "region": _words,
    "city": _words,
    "postal_code": _words,
    "latitude": lambda value: number(_figure(value), 90),
    "longitude": lambda value: number(_figure(value), 180),
    "accuracy_radius_km": lambda value: integer(_whole(value), 2**15 - 1),
    "time_zone": _words,
    "asn": _asn,
    "organization": lambda value: _words(_operator(value)),
}
