"""Complete the answer of a database with what headers say, as far as both mean the same place."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from geocache import field_sources
from geocache.location import SOURCE_SEPARATOR, Location
from geocache.providers.merging import is_said, said_fields
from geocache.providers.network_kinds import sorted_traits

# From the widest to the narrowest. Where two answers differ, or cannot be compared, nothing that is
# narrower is added.
LEVELS: Final = (
    ("country_code", "continent_code", "is_in_european_union"),
    ("region", "region_code", "time_zone"),
    ("city",),
    ("postal_code", "metro_code"),
    ("latitude", "longitude"),
)
# Of one operator, or of another.
OPERATOR: Final = ("asn", "organization", "isp")
NETWORK: Final = ("connection_type", "user_type")


def filled(found: Location, fields: Mapping[str, Any], label: str) -> Location:
    """Return the answer with ``fields``, which are said by ``label``, where it says nothing.

    Where it is false, they are all that is known.
    """
    if not fields:
        return found
    if not found:
        # The network is that of the answer "not found", and is_stale of an old row.
        return replace(found, reason="", network="", source=label, is_stale=False, **fields)
    added = _additions(found, fields)
    if not added:
        return found
    source = f"{found.source}{SOURCE_SEPARATOR}{label}" if found.source else label
    return replace(found, **added, source=source, given_by=_given_by(found, added))


def _additions(found: Location, fields: Mapping[str, Any]) -> dict[str, Any]:
    added: dict[str, Any] = {}
    for level in LEVELS:
        if _differ(found, fields, level):
            break
        # A pair of numbers is one value; and a continent follows from the country that is known.
        if level not in (LEVELS[0], LEVELS[-1]) or not is_said(getattr(found, level[0])):
            added |= _missing(found, fields, level)
        if _is_unconfirmed(found, fields, level):
            break
    if not _knows_any(found, OPERATOR):
        added |= _missing(found, fields, OPERATOR)
    added |= _missing(found, fields, NETWORK)
    if new := set(fields.get("traits", ())).difference(found.traits):
        added["traits"] = sorted_traits([*found.traits, *new])
    return added


def _differ(found: Location, fields: Mapping[str, Any], level: tuple[str, ...]) -> bool:
    """Tell whether two answers differ in the country, the region or whatever ``level`` is of."""
    if level[0] == "country_code":
        one, other = found.country_code, fields.get("country_code", "")
        if not (one and other):
            one, other = found.continent, fields.get("continent_code", "")
        return bool(one and other) and one != other
    if level[0] == "region":
        return _regions_differ(found, fields)
    return any(
        is_said(getattr(found, name)) and name in fields and not _same(found, fields, name)
        for name in level
    )


def _is_unconfirmed(found: Location, fields: Mapping[str, Any], level: tuple[str, ...]) -> bool:
    """Tell whether the headers do not say in which region or city of the database they mean."""
    names = level[:2] if level[0] == "region" else level[:1]
    return _knows_any(found, names) and not any(name in fields for name in names)


def _regions_differ(found: Location, fields: Mapping[str, Any]) -> bool:
    """Tell whether the regions differ; also where one is a code, and the other a name."""
    for name in ("region_code", "region"):
        if getattr(found, name) and fields.get(name):
            return not _same(found, fields, name)
    has_region = bool(found.region or found.region_code)
    return has_region and any(fields.get(name) for name in ("region", "region_code"))


def _same(found: Location, fields: Mapping[str, Any], name: str) -> bool:
    one, other = getattr(found, name), fields[name]
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold()
    return bool(one == other)


def _missing(found: Location, fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: fields[name] for name in names if name in fields and not is_said(getattr(found, name))
    }


def _knows_any(found: Location, names: tuple[str, ...]) -> bool:
    return any(is_said(getattr(found, name)) for name in names)


def _given_by(found: Location, added: Mapping[str, Any]) -> str:
    """Return which source gave which field; empty where that is not known of the databases."""
    shares = field_sources.shares_of(found.source, found.given_by)
    if not shares and found.source and SOURCE_SEPARATOR not in found.source:
        shares = [[*said_fields(found)]]
    return field_sources.pack([*shares, list(added)]) if shares else ""
