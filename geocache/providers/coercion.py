"""The fields of an answer, out of data from elsewhere: each is coerced or left out."""

from ipaddress import ip_address, ip_network
from typing import Any, Final

from geocache.addresses import WIDEST_PREFIX_LENGTHS

# Text longer than this is no place name; the table's columns are as wide.
MAX_TEXT_LENGTH: Final = 200


def maxmind_fields(record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a record in MaxMind's layout, that of its files and its services."""
    location = mapping(record.get("location"))
    country = mapping(record.get("country")) or mapping(record.get("registered_country"))
    subdivisions = record.get("subdivisions")
    region = subdivisions[0] if isinstance(subdivisions, list) and subdivisions else {}
    traits = mapping(record.get("traits")) or record
    return {
        "country_code": country_code(country.get("iso_code")),
        "region": english_name(region),
        "city": english_name(record.get("city")),
        "postal_code": text(mapping(record.get("postal")).get("code")),
        "latitude": number(location.get("latitude"), 90),
        "longitude": number(location.get("longitude"), 180),
        "accuracy_radius_km": integer(location.get("accuracy_radius"), 2**15 - 1),
        "time_zone": text(location.get("time_zone")),
        "asn": integer(traits.get("autonomous_system_number"), 2**32 - 1),
        "organization": text(
            traits.get("autonomous_system_organization") or traits.get("organization")
        ),
    }


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


def english_name(value: object) -> str:
    """Return the English one of MaxMind's localised names."""
    return text(mapping(mapping(value).get("names")).get("en"))


def country_code(value: object) -> str:
    """Return two capital letters, or the empty text."""
    code = text(value)
    return code.upper() if len(code) == 2 and code.isascii() and code.isalpha() else ""


def number(value: object, limit: int) -> float | None:
    """Return a number from minus ``limit`` to ``limit``, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -limit <= value <= limit else None


def integer(value: object, limit: int) -> int | None:
    """Return a whole number from 0 to ``limit``, or None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= limit else None


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
