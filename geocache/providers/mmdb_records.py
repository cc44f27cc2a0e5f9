"""The fields of a database file's record, in either layout.

MaxMind's has objects in objects. A flat one has a value at each name, as in the files of
ip-location-db (https://github.com/sapics/ip-location-db) and IPinfo (https://ipinfo.io/developers).
"""

from typing import Any, Final

from geocache.providers.coercion import POINT, known, maxmind_fields
from geocache.providers.http.json_fields import READERS

# Where either of these is an object or a list, the record is in MaxMind's layout.
NESTED: Final = (
    "country",
    "city",
    "location",
    "registered_country",
    "subdivisions",
    "postal",
    "traits",
)
HOLDERS: Final = (dict, list)
# By field, the names that a flat record may have it under; the first that can be read counts.
FLAT: Final[dict[str, tuple[str, ...]]] = {
    # IPinfo's "country" is a code in older files, and in newer ones a name, which is no code.
    "country_code": ("country_code", "country"),
    "region": ("region", "region_name", "state1", "state"),
    "city": ("city", "city_name"),
    "postal_code": ("postal_code", "postcode", "postal", "zip_code", "zip"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lng", "lon"),
    "accuracy_radius_km": ("accuracy_radius", "radius"),
    "time_zone": ("timezone", "time_zone"),
    "asn": ("autonomous_system_number", "asn", "as_number"),
    "organization": (
        "autonomous_system_organization",
        "as_name",
        "organization",
        "isp",
        "as_domain",
    ),
}
# The names that do not stand for a place on the globe.
OTHERS: Final = tuple(name for field, names in FLAT.items() if field not in POINT for name in names)


def record_fields(record: object) -> dict[str, Any]:
    """Return the fields that a record fills, each of a type that can be stored."""
    if not isinstance(record, dict):
        return {}
    is_nested = any(isinstance(record.get(name), HOLDERS) for name in NESTED)
    return maxmind_fields(record) if is_nested else _flat_fields(record)


def _flat_fields(record: dict[str, Any]) -> dict[str, Any]:
    others = (record[name] for name in OTHERS if name in record)
    return known({field: _first(record, field, names) for field, names in FLAT.items()}, others)


def _first(record: dict[str, Any], field: str, names: tuple[str, ...]) -> object:
    read = READERS[field]
    values = (read(record[name]) for name in names if name in record)
    return next((value for value in values if value not in ("", None)), None)
