"""The fields of an answer, out of data from elsewhere: each is coerced or left out.

What stands for "nothing is known", such as "N/A", is left out like what is missing.
"""

import re
import string
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

from geocache.addresses import WIDEST_PREFIX_LENGTHS
from geocache.languages import keys_in_order

# Text longer than this is no place name; the table's columns are as wide.
MAX_TEXT_LENGTH: Final = 200
# What databases and services write where they know nothing: compared without case, and without
# brackets, quotes and spaces around it. Text without a letter or a digit but 0 is nothing, too.
NOTHING: Final = frozenset(
    (
        *("n/a", "n.a", "n.a.", "n/k", "na", "none", "null", "nil", "undefined", "undef", "false"),
        *("bogon", "reserved", "missing", "unavailable", "unspecified", "unassigned"),
        *("unallocated", "invalid ip address", "missing file", "no data", "no information"),
        *(f"not {word}" for word in ("applicable", "assigned", "available", "found", "known")),
        *(f"not {word}" for word in ("routed", "set", "specified", "supported")),
        *("unknown", "unknown/unknown", "etc/unknown", "unknown city", "unknown region"),
        *("unknown state", "unknown country", "unknown isp", "unknown as"),
        *("unknown organization", "unknown organisation", "ipv6 address missing in ipv4 bin"),
        # Of databases, where a text file stands for NULL.
        "\\n",
    )
)
# Made once: each evaluation of ``int | float`` creates a union.
NUMBERS: Final = (int, float)
POINT: Final = ("latitude", "longitude")
# IP2Location's, for a field that the file that was bought does not have.
NOTHING_BEGINS: Final = ("this parameter is unavailable", "this method is not applicable")
# What "nothing" never begins with.
CLEAR_BEGINNINGS: Final = frozenset(string.ascii_letters + "123456789") - {
    letter
    for nothing in (*NOTHING, *NOTHING_BEGINS)
    for letter in nothing[0].lower() + nothing[0].upper()
}
# Keys of names: see ``choose_languages``.
DEFAULT_KEYS: Final = keys_in_order(())
_name_keys = DEFAULT_KEYS
AROUND: Final = " \t\r\n()[]<>{}\"'`"
# Codes that ISO 3166 leaves to its users, but Kosovo's, mean "unknown" where they are used. With a
# digit they are MaxMind's older ones and Cloudflare's, for proxies, satellites and Tor.
# "NA" is a country, Namibia.
NO_COUNTRY: Final = re.compile("AA|Q[M-Z]|X[A-JL-Z]|ZZ|[AOT][0-9]")


def maxmind_fields(record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a record in MaxMind's layout fills, that of its files and services."""
    # Field by field, as it takes half of what a dict of all of them does: most records lack some.
    found: dict[str, Any] = {}
    country = mapping(record.get("country")) or mapping(record.get("registered_country"))
    if value := country_code(country.get("iso_code")):
        found["country_code"] = value
    subdivisions = record.get("subdivisions")
    if isinstance(subdivisions, list) and subdivisions and (name := local_name(subdivisions[0])):
        found["region"] = name
    if name := local_name(record.get("city")):
        found["city"] = name
    if name := words(mapping(record.get("postal")).get("code")):
        found["postal_code"] = name
    if location := mapping(record.get("location")):
        found |= _location_fields(location)
    traits = mapping(record.get("traits")) or record
    if system := asn(traits.get("autonomous_system_number")):
        found["asn"] = system
    if name := words(traits.get("autonomous_system_organization")) or words(
        traits.get("organization")
    ):
        found["organization"] = name
    return found


def _location_fields(location: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (latitude := number(location.get("latitude"), 90)) is not None:
        found["latitude"] = latitude
    if (longitude := number(location.get("longitude"), 180)) is not None:
        found["longitude"] = longitude
    if (radius := integer(location.get("accuracy_radius"), 2**15 - 1)) is not None:
        found["accuracy_radius_km"] = radius
    if zone := words(location.get("time_zone")):
        found["time_zone"] = zone
    return found


def known(fields: Mapping[str, Any], others: Iterable[object] = ()) -> dict[str, Any]:
    """Return the fields that say something.

    The point 0, 0 does not, where there is no country and one of the ``others`` says nothing, too.
    """
    # Not by ``in ("", None)``, which asks each number whether it is a text.
    found = {name: value for name, value in fields.items() if value or value == 0}
    is_zero = found.get("latitude") == found.get("longitude") == 0
    if is_zero and "country_code" not in found and any(map(is_nothing, others)):
        del found["latitude"], found["longitude"]
    return found


def is_nothing(value: object) -> bool:
    """Tell whether a value of any field stands for "nothing is known"."""
    if isinstance(value, str):
        return is_placeholder(text(value)) or is_no_country(value)
    return value in (None, False, 0) or value in ([], {})


def is_placeholder(value: str) -> bool:
    """Tell whether a text of at most ``MAX_TEXT_LENGTH`` stands for "nothing is known"."""
    bare = value.strip(AROUND).casefold()
    if bare in NOTHING or bare.startswith(NOTHING_BEGINS):
        return True
    # Most are told by the first character.
    return not bare[:1].isalpha() and not any(one.isalnum() and one != "0" for one in bare)


def mapping(value: object) -> dict[str, Any]:
    """Return ``value`` if it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """Return text that every database can store, empty for what is none."""
    if not isinstance(value, str):
        return ""
    # PostgreSQL stores neither a NUL nor half of a character, which JSON can name.
    whole = value if value.isascii() else value.encode(errors="ignore").decode()
    return whole.replace("\0", "")[:MAX_TEXT_LENGTH]


def is_no_country(value: str) -> bool:
    """Tell whether a text is a code of no country."""
    return bool(NO_COUNTRY.fullmatch(value.strip().upper()))


def words(value: object) -> str:
    """Return text without spaces around it, empty also for what stands for "nothing"."""
    if value is None:
        return ""
    if (
        type(value) is str
        and value[:1] in CLEAR_BEGINNINGS
        and value.isascii()
        and value.isprintable()
        and len(value) <= MAX_TEXT_LENGTH
    ):
        # Most texts: what follows would say the same, in three times the time.
        return value.rstrip()
    found = text(value).strip()
    return "" if is_placeholder(found) else found


def local_name(value: object) -> str:
    """Return one of MaxMind's localised names: that of the first chosen language that has one."""
    names = value.get("names") if isinstance(value, dict) else None
    if isinstance(names, dict):
        for key in _name_keys:
            if found := words(names.get(key)):
                return found
    return ""


def choose_languages(languages: Iterable[object]) -> None:
    """Choose the languages of names in this process, the first that exists; English is the last."""
    global _name_keys  # noqa: PLW0603 - settings are not known here, and each name is read by it
    _name_keys = keys_in_order(languages)


def name_keys() -> tuple[str, ...]:
    """Return the keys that ``local_name`` reads, the first that has a name counts."""
    return _name_keys


def chosen_languages() -> str:
    """Return the part of a ``build`` that changes with the languages; empty for English alone."""
    return "" if _name_keys == DEFAULT_KEYS else f"@{','.join(_name_keys)}"


def country_code(value: object) -> str:
    """Return two capital letters, or the empty text."""
    if type(value) is str and len(value) == 2:
        return _code(value)
    return _code(text(value).strip())


@lru_cache(maxsize=512)
def _code(code: str) -> str:
    is_code = len(code) == 2 and code.isascii() and code.isalpha()
    return code.upper() if is_code and not is_no_country(code) else ""


def number(value: object, limit: int) -> float | None:
    """Return a number from minus ``limit`` to ``limit``, or None."""
    if type(value) is float:
        return value if -limit <= value <= limit else None
    if isinstance(value, bool) or not isinstance(value, NUMBERS):
        return None
    return float(value) if -limit <= value <= limit else None


def integer(value: object, limit: int) -> int | None:
    """Return a whole number from 0 to ``limit``, or None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= limit else None


def asn(value: object) -> int | None:
    """Return the number of an autonomous system, or None; 0 is that of none (RFC 7607)."""
    return integer(value, 2**32 - 1) or None


def network_around(address: str, value: object) -> str:
    """Return the network in ``value`` if ``address`` is in it and it is not absurdly wide."""
    try:
        network = ip_network(text(value), strict=False)
    except ValueError:
        return ""
    is_narrow = network.prefixlen >= WIDEST_PREFIX_LENGTHS[network.version]
    return str(network) if is_narrow and ip_address(address) in network else ""


def address_text(value: object) -> str:
    """Return the one spelling of an IP address, or the empty text."""
    try:
        return str(ip_address(text(value)))
    except ValueError:
        return ""
