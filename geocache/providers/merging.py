"""What several sources say of one address, as one answer: the first that knows a field gives it.

Traits and details are put together from all.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from geocache.field_sources import GIVEN, pack, shares_of
from geocache.location import SOURCE_SEPARATOR, Location
from geocache.providers.network_kinds import put_details, put_traits

# What all sources give together.
SHARED: Final = ("traits", "details")
# What goes with a country, and is wrong beside another one.
OF_COUNTRY: Final = frozenset(
    ("continent_code", "is_in_european_union", "region_code", "subdivisions", "metro_code")
)
OF_REGION: Final = frozenset(("region_code", "subdivisions"))
NUMBERS: Final = (int, float)


def added(
    found: Mapping[str, Any], fields: Mapping[str, Any], only: Collection[str] = GIVEN
) -> dict[str, Any]:
    """Return what ``fields`` of another source add to those that are ``found``."""
    more = {name: value for name, value in fields.items() if name not in found and name in only}
    country, region = found.get("country_code"), found.get("region")
    if country and fields.get("country_code", country) != country:
        more = {name: value for name, value in more.items() if name not in OF_COUNTRY}
    elif region and not OF_REGION.isdisjoint(more) and fields.get("region") != region:
        # Names of one region may differ, and then it is not known whether it is one.
        more = {name: value for name, value in more.items() if name not in OF_REGION}
    for name, put in (("traits", put_traits), ("details", put_details)):
        if name in found and name in fields and name in only:
            together = {name: found[name]}
            put(together, fields[name])
            if together[name] != found[name]:
                more[name] = together[name]
    return more


def is_said(value: object) -> bool:
    """Tell whether the value of a field says something: False does not, and 0 does."""
    return bool(value) or type(value) in NUMBERS


def said_fields(location: Location) -> dict[str, Any]:
    """Return the fields of an answer that say something."""
    values = ((name, getattr(location, name)) for name in GIVEN)
    return {name: value for name, value in values if is_said(value)}


def is_open(answer: Location, name: str) -> bool:
    """Tell whether another source may have more to say of a field."""
    if name in SHARED:
        return True
    if name == "is_in_european_union":
        # Known with the country.
        return not answer.country_code
    return not is_said(getattr(answer, name))


def given_together(before: Location, answer: Location, filled: Collection[str]) -> str:
    """Return ``given_by`` of an answer that has ``filled`` fields from another one."""
    shares, others = _shares(before, GIVEN), _shares(answer, filled)
    return pack([*shares, *others]) if shares and others else ""


def _shares(location: Location, only: Collection[str]) -> list[list[str]]:
    """Return what each source of an answer gave; nothing where that is not known."""
    if SOURCE_SEPARATOR in location.source:
        shares = shares_of(location.source, location.given_by)
    else:
        shares = [[*said_fields(location)]]
    return [[name for name in share if name in only] for share in shares]
