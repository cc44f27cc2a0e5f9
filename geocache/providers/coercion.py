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
from geocache.country_groups import COUNTRIES, completed
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
CONTINENT_CODES: Final = frozenset(COUNTRIES)
# As wide as the table's columns.
MAX_SHORT_LENGTH: Final = 40
MOBILE_CODE: Final = re.compile(r"[0-9]{1,8}")
# Source: ISO 3166-2.
REGION_CODE: Final = re.compile(r"[A-Z0-9]{1,3}")
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


def known(fields: Mapping[str, Any], others: Iterable[object] = ()) -> dict[str, Any]:
    """Return the fields that say something, and what follows from them.

    The point 0, 0 does not, where there is no country and one of the ``others`` says nothing, too.
    """
    # Not by ``in ("", None)``, which asks each number whether it is a text.
    found = {name: value for name, value in fields.items() if value or value == 0}
    is_zero = found.get("latitude") == found.get("longitude") == 0
    if is_zero and "country_code" not in found and any(map(is_nothing, others)):
        del found["latitude"], found["longitude"]
    country = found.get("country_code", "")
    if "region_code" in found:
        found["region_code"] = region_code(country, found["region_code"])
        if not found["region_code"]:
            del found["region_code"]
    if country:
        found = completed(found)
    # It is false of most answers, and says nothing by itself.
    if found.get("is_in_european_union") is False:
        del found["is_in_european_union"]
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


def zone_words(value: object) -> str:
    """Return what ``words`` does, for text of which there are few: names of time zones."""
    if type(value) is str and len(value) <= MAX_SHORT_LENGTH:
        return _zone(value)
    return words(value)


@lru_cache(maxsize=1024)
def _zone(value: str) -> str:
    return words(value)


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


def continent_code(value: object) -> str:
    """Return one of the seven codes, or the empty text."""
    if type(value) is str and value in CONTINENT_CODES:
        return value
    code = text(value).strip().upper()
    return code if code in CONTINENT_CODES else ""


def region_code(country: str, value: object) -> str:
    """Return a code of ISO 3166-2, such as GB-ENG, or the empty text.

    ``value`` may lack the country, but not have another one.
    """
    if type(value) is not str or len(value) > MAX_SHORT_LENGTH:
        return ""
    code = value.strip().upper()
    prefix, dash, bare = code.rpartition("-")
    if dash and prefix == (country or country_code(prefix)) and REGION_CODE.fullmatch(bare):
        return code
    return f"{country}-{code}" if country and REGION_CODE.fullmatch(code) else ""


def short_words(value: object) -> str:
    """Return words that fit into a narrow column, or the empty text."""
    return words(value)[:MAX_SHORT_LENGTH].rstrip() if value else ""


def mobile_code(value: object) -> str:
    """Return the digits of a mobile country or network code, or the empty text; "00" is one."""
    if type(value) is int and value >= 0:
        # No longer than the digits of a code.
        value = str(value) if value < 10**8 else ""
    code = text(value).strip()
    return code if MOBILE_CODE.fullmatch(code) else ""


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
