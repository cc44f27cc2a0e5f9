"""The fields of a record in MaxMind's layout, that of its files and of its web services.

Objects in objects; DB-IP's files have them, too.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from geocache.country_groups import completed
from geocache.location import Subdivision
from geocache.providers.coercion import (
    MAX_SHORT_LENGTH,
    asn,
    continent_code,
    country_code,
    integer,
    local_name,
    mapping,
    mobile_code,
    name_keys,
    number,
    region_code,
    short_words,
    words,
    zone_words,
)
from geocache.providers.network_kinds import plain_value, put_details, put_kinds, put_traits

MAX_METRO_CODE: Final = 2**31 - 1
# Stands for an object that is missing: a code of no country and of no continent.
NO_CODE: Final = {"iso_code": "--", "code": "--"}
# More levels than any country has.
MAX_SUBDIVISIONS: Final = 8
# What all records of City files have: no more is looked for in these.
USUAL: Final = frozenset(
    (
        *("city", "continent", "country", "location", "postal", "registered_country"),
        "subdivisions",
    )
)
ABOUT_PLACES: Final = {name: name for name in ("average_income", "population_density")}
# What MaxMind says of the feed of residential proxies, among its anonymizer data.
RESIDENTIAL: Final = {
    "confidence": "residential_confidence",
    "network_last_seen": "residential_network_last_seen",
    "provider_name": "residential_provider_name",
}


def maxmind_fields(record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a record fills."""
    # Field by field, as it takes half of what a dict of all of them does: most records lack some.
    found = _country_fields(record)
    if (parts := record.get("subdivisions")) and isinstance(parts, list):
        _put_region(found, parts)
    if (city := record.get("city")) and (name := local_name(city)):
        found["city"] = name
    postal = record.get("postal")
    if type(postal) is dict and (name := words(postal.get("code"))):
        found["postal_code"] = name
    if (location := record.get("location")) and isinstance(location, dict):
        _put_point(found, location)
    if not USUAL.issuperset(record):
        _put_rare(found, record)
    # Who states any states that of the country, or of the city.
    for holder in (record.get("country"), city):
        if type(holder) is dict and "confidence" in holder:
            _put_confidences(found, record)
            break
    return found


def _country_fields(record: dict[str, Any]) -> dict[str, Any]:
    """Return country and continent, and what follows from them."""
    registered = record.get("registered_country") or NO_CODE
    country = record.get("country") or registered
    continent = record.get("continent") or NO_CODE
    try:
        # Each a text: of what is not, either the length or the hash is refused.
        codes = country["iso_code"], registered["iso_code"], continent["code"]
        if len(codes[0]) == len(codes[1]) == len(codes[2]) == 2:
            return _of_codes(*codes, country.get("is_in_european_union") is True).copy()
    except (TypeError, LookupError):
        pass
    country, registered = mapping(country) or mapping(registered), mapping(registered)
    return _of_codes.__wrapped__(
        country.get("iso_code"),
        registered.get("iso_code"),
        mapping(continent).get("code"),
        country.get("is_in_european_union") is True,
    )


# Some hundreds are in a file. To read them each time takes three times as long.
@lru_cache(maxsize=2048)
def _of_codes(
    country: object, registered: object, continent: object, is_in_union: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if code := country_code(country):
        found["country_code"] = code
    if code := country_code(registered):
        found["registered_country_code"] = code
    if code := continent_code(continent):
        found["continent_code"] = code
    if is_in_union:
        found["is_in_european_union"] = True
    return completed(found)


def _put_region(found: dict[str, Any], parts: list[Any]) -> None:
    country = found.get("country_code", "")
    code, name = _part(country, parts[0])
    if name:
        found["region"] = name
    if code:
        found["region_code"] = code
    if len(parts) > 1:
        several = (_part(country, part) for part in parts[:MAX_SUBDIVISIONS])
        known = tuple(Subdivision(*part) for part in several if any(part))
        if len(known) > 1:
            found["subdivisions"] = known


def _part(country: str, part: Any) -> tuple[str, str]:
    """Return code and name of a part of a country."""
    try:
        code, name = part.get("iso_code", ""), part["names"][name_keys()[0]]
        if len(code) + len(name) <= MAX_SHORT_LENGTH:
            return _part_of(country, code, name)
    except (AttributeError, TypeError, LookupError):
        pass
    return region_code(country, mapping(part).get("iso_code")), local_name(part)


# There are about 4,000 regions on Earth.
@lru_cache(maxsize=8192)
def _part_of(country: str, code: object, name: object) -> tuple[str, str]:
    return region_code(country, code), words(name)


def _put_point(found: dict[str, Any], location: dict[str, Any]) -> None:
    latitude, longitude = location.get("latitude"), location.get("longitude")
    # Nearly all are: that saves a call for each.
    if type(latitude) is not float:
        latitude = number(latitude, 90)
    if latitude is not None and -90 <= latitude <= 90:
        found["latitude"] = latitude
    if type(longitude) is not float:
        longitude = number(longitude, 180)
    if longitude is not None and -180 <= longitude <= 180:
        found["longitude"] = longitude
    if (radius := integer(location.get("accuracy_radius"), 2**15 - 1)) is not None:
        found["accuracy_radius_km"] = radius
    if zone := zone_words(location.get("time_zone")):
        found["time_zone"] = zone
    if "metro_code" in location and (metro := integer(location["metro_code"], MAX_METRO_CODE)):
        found["metro_code"] = metro
    if "average_income" in location or "population_density" in location:
        _put_details(found, location, ABOUT_PLACES)


def _put_traits(found: dict[str, Any], traits: dict[str, Any]) -> None:
    if system := asn(traits.get("autonomous_system_number")):
        found["asn"] = system
    if name := words(traits.get("autonomous_system_organization")) or words(
        traits.get("organization")
    ):
        found["organization"] = name
    for field in ("isp", "domain"):
        if name := words(traits.get(field)):
            found[field] = name
    for field in ("connection_type", "user_type"):
        if name := short_words(traits.get(field)):
            found[field] = name
    for field in ("mobile_country_code", "mobile_network_code"):
        if code := mobile_code(traits.get(field)):
            found[field] = code
    put_kinds(found, traits)


def _put_rare(found: dict[str, Any], record: dict[str, Any]) -> None:
    """Put what City files have of few addresses, and dearer products of all."""
    if (traits := record.get("traits")) and isinstance(traits, dict):
        _put_traits(found, traits)
    if anonymizer := mapping(record.get("anonymizer")):
        put_kinds(found, anonymizer)
        _put_details(found, anonymizer, {"confidence": "anonymizer_confidence"})
        residential = mapping(anonymizer.get("residential"))
        _put_details(found, residential, RESIDENTIAL)
        if words(residential.get("provider_name")):
            put_traits(found, ["residential_proxy"])
    if represented := mapping(record.get("represented_country")):
        code = country_code(represented.get("iso_code"))
        put_details(found, {"represented_country_code": code} if code else {})
        _put_details(found, represented, {"type": "represented_country_type"})


def _put_confidences(found: dict[str, Any], record: dict[str, Any]) -> None:
    parts = record.get("subdivisions")
    several = parts[:MAX_SUBDIVISIONS] if isinstance(parts, list) else []
    holders = {
        **{f"{name}_confidence": record.get(name) for name in ("country", "city", "postal")},
        **{f"subdivision_{place}_confidence": part for place, part in enumerate(several, 1)},
    }
    for name, holder in holders.items():
        _put_details(
            found, mapping(holder), {"confidence": name.replace("subdivision_1_", "subdivision_")}
        )


def _put_details(found: dict[str, Any], given: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Put plain values among the details; ``names`` are theirs by those that they have."""
    values = {detail: plain_value(given[name]) for name, detail in names.items() if name in given}
    put_details(found, {name: value for name, value in values.items() if value is not None})
