"""What is in a JSON answer: values at dotted paths, and a reader for each field."""

import re
from collections.abc import Callable
from typing import Final

from geocache.providers.coercion import (
    asn,
    continent_code,
    country_code,
    integer,
    is_nothing,
    mobile_code,
    number,
    short_words,
    words,
)
from geocache.providers.network_kinds import is_true

NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
# "AS64500 Test Networks", as several services write number and name of an operator; "AS-" of none.
AS_NUMBER: Final = re.compile(
    r"^\s*ASN? ?(?:([0-9]{1,10})(?:\s+|$)|-?\s*$)", re.ASCII | re.IGNORECASE
)

MAX_METRO_CODE: Final = 2**31 - 1
# The words of others; what is not here stays. Source: IP2Location, "Usage Type"; IPinfo, "as_type".
USER_TYPES: Final = {
    "COM": "business",
    "ORG": "organization",
    "GOV": "government",
    "MIL": "military",
    "EDU": "college",
    "LIB": "library",
    "CDN": "content_delivery_network",
    "ISP": "residential",
    "MOB": "cellular",
    "DCH": "hosting",
    "SES": "search_engine_spider",
    # Reserved: not in use.
    "RSV": "",
    "education": "college",
}


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


def _union(value: object) -> bool | None:
    """Return whether a country is said to be in the European Union, None where nothing is said."""
    if is_true(value):
        return True
    is_false = value is False or (isinstance(value, str) and value.lower() == "false")
    return False if is_false else None


def _users(value: object) -> str:
    """Return who is in a network, in MaxMind's words where they are known."""
    said = short_words(value)
    return USER_TYPES.get(said, said)


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
    "continent_code": continent_code,
    "is_in_european_union": _union,
    "registered_country_code": country_code,
    # With its country when that is known.
    "region_code": short_words,
    "metro_code": lambda value: integer(_whole(value), MAX_METRO_CODE) or None,
    "isp": _words,
    "domain": _words,
    "connection_type": short_words,
    "user_type": _users,
    "mobile_country_code": mobile_code,
    "mobile_network_code": mobile_code,
}
