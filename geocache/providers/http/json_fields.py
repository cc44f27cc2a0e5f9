"""What is in a JSON answer: values at dotted paths, and a reader for each field."""

import re
from collections.abc import Callable
from typing import Final

from geocache.providers.coercion import country_code, integer, number, text

NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
# "AS64500 Test Networks", as several services write number and name of an operator.
AS_NUMBER: Final = re.compile(r"^AS([0-9]{1,10})(?:\s+|$)", re.ASCII | re.IGNORECASE)


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
    return text(str(value) if is_number else value).strip()


def _asn(value: object) -> int | None:
    found = AS_NUMBER.match(value) if isinstance(value, str) else None
    return integer(int(found[1]) if found else _whole(value), 2**32 - 1)


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
    "organization": lambda value: AS_NUMBER.sub("", _words(value), count=1),
}
