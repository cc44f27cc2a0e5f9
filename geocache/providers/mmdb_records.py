"""The fields of a database file's record, in either layout.

MaxMind's has objects in objects. A flat one has a value at each name, as in the files of
ip-location-db (https://github.com/sapics/ip-location-db) and IPinfo (https://ipinfo.io/developers),
and in those of MaxMind that are not about places.
"""

from typing import Any, Final

from geocache.location import Subdivision
from geocache.providers.coercion import POINT, known, words
from geocache.providers.http.json_fields import READERS
from geocache.providers.maxmind_layout import maxmind_fields
from geocache.providers.merging import added
from geocache.providers.network_kinds import put_kinds

# Where any of these is an object or a list, the record is in MaxMind's layout.
NESTED: Final = (
    "country",
    "city",
    "location",
    "registered_country",
    "subdivisions",
    "postal",
    "traits",
    "continent",
    "represented_country",
    "anonymizer",
)
NESTED_NAMES: Final = frozenset(NESTED)
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
    "continent_code": ("continent_code", "continent"),
    "is_in_european_union": ("is_in_european_union", "is_eu"),
    "registered_country_code": ("registered_country_code", "registered_country"),
    "region_code": ("region_code", "iso_3166_2"),
    "metro_code": ("metro_code", "dma_code"),
    "isp": ("isp", "isp_name"),
    "domain": ("domain", "as_domain"),
    "connection_type": ("connection_type",),
    "user_type": ("user_type", "usage_type", "as_type"),
    "mobile_country_code": ("mobile_country_code", "mcc"),
    "mobile_network_code": ("mobile_network_code", "mnc"),
}
# By name: the fields that it may fill, with its rank among the names of each, and the reader.
PLACES: Final = {
    name: tuple(
        (field, names.index(name), READERS[field]) for field, names in FLAT.items() if name in names
    )
    for name in {name for names in FLAT.values() for name in names}
}
# The names that do not stand for a place on the globe.
OTHERS: Final = tuple(name for field, names in FLAT.items() if field not in POINT for name in names)
NOTHING_READ: Final = ("", None)


def record_fields(record: object) -> dict[str, Any]:
    """Return the fields that a record fills, each of a type that can be stored."""
    if not isinstance(record, dict):
        return {}
    if not _is_nested(record):
        return _flat_fields(record)
    found = maxmind_fields(record)
    if not NESTED_NAMES.issuperset(record):
        rest = {name: value for name, value in record.items() if name not in NESTED_NAMES}
        found |= added(found, _flat_fields(rest))
    return found


def _is_nested(record: dict[str, Any]) -> bool:
    # Of most that are, the country is an object.
    if type(record.get("country")) is dict:
        return True
    return any(
        isinstance(value, HOLDERS) and name in NESTED_NAMES for name, value in record.items()
    )


def _flat_fields(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ranks: dict[str, int] = {}
    is_rest_read = True
    for name, value in record.items():
        if name not in PLACES:
            is_rest_read = False
            continue
        for field, rank, read in PLACES[name]:
            if rank < ranks.get(field, len(PLACES)) and (got := read(value)) not in NOTHING_READ:
                found[field] = got
                ranks[field] = rank
    if not is_rest_read:
        _put_rest(found, record)
    if not found:
        return found
    return known(found, (record[name] for name in OTHERS if name in record))


def _put_rest(found: dict[str, Any], record: dict[str, Any]) -> None:
    put_kinds(found, record, bare=True)
    if "state2" in record and (smaller := words(record["state2"])) and "region" in found:
        found["subdivisions"] = (
            Subdivision(name=str(found["region"])),
            Subdivision(name=smaller),
        )
