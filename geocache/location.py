"""``Location``, the answer for one address, and its text form in the cache.

The text is JSON, ``{"v":2,"n":2,"f":32,"answers":[[...],[...]]}``: a version, how many answers,
how many fields each has, and for each its fields in order. It is one text for hot entries and
journal records, and its reader checks the exact type of each field. A later release may append
fields: a reader ignores what it does not know and fills in what it misses. So releases before and
after such a change read each other's texts, and the version stays; it changes when they could not.
"""

import math
import re
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, TypedDict, cast
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import asdict, replace

from geocache import field_sources
from geocache.country_groups import completed, continent_of
from geocache.exceptions import UndecodableRecord
from geocache.traits import ANONYMOUS, HOSTING

RECORD_VERSION: Final = 2
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Earlier than any day on which somebody has.
NEVER_SEEN: Final = EPOCH.date()

NOT_FOUND: Final = "not_found"
UNAVAILABLE: Final = "unavailable"
# Between the databases and services that the ``source`` of one answer names.
SOURCE_SEPARATOR: Final = field_sources.SEPARATOR
# The longest texts that have a column narrower than 200 characters, by field.
LENGTHS: Final = {
    "network": 43,
    "country_code": 2,
    "reason": 20,
    "continent_code": 2,
    "registered_country_code": 2,
    "region_code": 10,
    "connection_type": 40,
    "user_type": 40,
    "mobile_country_code": 8,
    "mobile_network_code": 8,
    "given_by": 100,
}
# The mean radius R1 of the Earth. Source: IUGG, Geodetic Reference System 1980 (H. Moritz).
EARTH_RADIUS_KM: Final = 6371.0088
# Not all files of the zone folder are places: "localtime" is the zone of this machine, "right/" and
# "posix/" hold the same zones again, and "Factory" stands for one that is not set.
ZONE_NAME: Final = re.compile(r"(?!Factory\Z)[A-Z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")


# A value that JSON, a table and a page show as it is.
Plain = str | int | float | bool | None
PLAIN: Final = (str, int, float, bool, type(None))


class SubdivisionDict(TypedDict):
    """A ``Subdivision`` in JSON."""

    code: str
    name: str


class LocationDict(TypedDict):
    """A ``Location`` in JSON: ``to_plain()``, the API, ``lookup_geo --json`` and JSON downloads."""

    address: str
    resolved_at: str
    network: str
    country_code: str
    region: str
    city: str
    postal_code: str
    latitude: float | None
    longitude: float | None
    accuracy_radius_km: int | None
    time_zone: str
    asn: int | None
    organization: str
    source: str
    reason: str
    continent_code: str
    is_in_european_union: bool
    registered_country_code: str
    region_code: str
    metro_code: int | None
    subdivisions: list[SubdivisionDict]
    isp: str
    domain: str
    connection_type: str
    user_type: str
    mobile_country_code: str
    mobile_network_code: str
    traits: list[str]
    details: dict[str, Plain]
    field_sources: dict[str, str]
    found: bool
    stale: bool


class Subdivision(msgspec.Struct, frozen=True, gc=False):
    """A part of a country, and parts of that: England, West Berkshire.

    ``code`` is that of ISO 3166-2, such as GB-ENG, or empty.
    """

    code: str = ""
    name: str = ""


class Details(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, eq=False):
    """What only some products state, by MaxMind's names: a mapping that cannot be changed.

    ``Details.of({"user_count": 3})`` makes one. A struct, as nearly all answers have an empty one:
    one of its own for JSON would take as long as the rest of an answer.
    """

    pairs: tuple[tuple[str, Plain], ...] = ()

    @classmethod
    def of(cls, values: "Mapping[str, Plain] | Details") -> "Details":
        """Return the details with these values by name."""
        return cls(tuple(values.items())) if values else NO_DETAILS

    def __getitem__(self, name: str) -> Plain:
        return dict(self.pairs)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.pairs))

    def __len__(self) -> int:
        return len(self.pairs)

    def __contains__(self, name: object) -> bool:
        return name in dict(self.pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self.pairs) == dict(other)

    def __ne__(self, other: object) -> bool:
        # Not made of ``__eq__``: a struct has its own.
        return not self == other

    def __hash__(self) -> int:
        return hash(frozenset(self.pairs))

    def __repr__(self) -> str:
        return f"Details.of({dict(self.pairs)!r})"

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a name, or ``default``."""
        return dict(self.pairs).get(name, default)

    def keys(self) -> KeysView[str]:
        """Return the names."""
        return dict(self.pairs).keys()

    def items(self) -> ItemsView[str, Plain]:
        """Return the names with their values."""
        return dict(self.pairs).items()

    def values(self) -> ValuesView[Plain]:
        """Return the values."""
        return dict(self.pairs).values()


Mapping.register(Details)
NO_DETAILS: Final = Details()


class Location(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Where an address is. False when nothing is known; ``reason`` then says why.

    ``latitude`` and ``longitude`` are WGS 84 degrees. ``network`` is the block, in CIDR notation,
    for which the answer holds. ``source`` names each database and the day it was built.
    ``traits`` are sorted labels by MaxMind's names, such as ``anonymous_vpn``; ``subdivisions`` are
    given where there are several, the largest first. ``msgspec.structs.replace`` makes a changed
    copy.
    """

    address: str
    resolved_at: Annotated[datetime, msgspec.Meta(tz=True)]
    network: str = ""
    country_code: str = ""
    region: str = ""
    city: str = ""
    postal_code: str = ""
    latitude: float | None = None
    longitude: float | None = None
    accuracy_radius_km: int | None = None
    time_zone: str = ""
    asn: int | None = None
    organization: str = ""
    source: str = ""
    reason: str = ""
    # Resolved again although nobody asked: it does not count as asked for.
    is_renewed: bool = False
    # True of an old row that stands in while the provider fails. Such answers are not journaled.
    is_stale: bool = False
    # Releases up to 0.2.0 read the fields as far as this one.
    continent_code: str = ""
    is_in_european_union: bool = False
    registered_country_code: str = ""
    region_code: str = ""
    metro_code: int | None = None
    # Which of several sources gave which fields; ``field_sources`` reads it.
    given_by: str = ""
    subdivisions: tuple[Subdivision, ...] = ()
    # From here on what databases of cities and of operators do not say.
    isp: str = ""
    domain: str = ""
    connection_type: str = ""
    user_type: str = ""
    mobile_country_code: str = ""
    mobile_network_code: str = ""
    traits: tuple[str, ...] = ()
    details: Details = NO_DETAILS

    def __bool__(self) -> bool:
        return not self.reason

    @property
    def last_seen_on(self) -> date:
        """Return the day of UTC on which it was asked for; the first of all when it was not."""
        return NEVER_SEEN if self.is_renewed else self.resolved_at.astimezone(UTC).date()

    @property
    def country_name(self) -> str:
        """Return the country's name in the reader's language, empty if no country is known."""
        from geocache import countries  # noqa: PLC0415 - needs Django, as an answer does not

        return countries.name(self.country_code) or self.country_code

    @property
    def flag(self) -> str:
        """Return the flag emoji of the country, empty if no country is known."""
        from geocache import countries  # noqa: PLC0415 - as above

        return countries.flag(self.country_code)

    @property
    def continent(self) -> str:
        """Return the code of the country's continent: AF AN AS EU NA OC SA, or empty."""
        return self.continent_code or continent_of(self.country_code)

    @property
    def continent_name(self) -> str:
        """Return the continent's name in the reader's language, empty if it is not known."""
        from geocache import continents  # noqa: PLC0415 - as above

        return continents.name(self.continent)

    @property
    def is_anonymous(self) -> bool:
        """Tell whether the address hides who uses it: a VPN, a proxy, Tor."""
        return not ANONYMOUS.isdisjoint(self.traits)

    @property
    def is_hosting(self) -> bool:
        """Tell whether the address is one of a data centre."""
        return not HOSTING.isdisjoint(self.traits)

    def has_trait(self, name: str) -> bool:
        """Tell whether one of the labels is ``name``."""
        return name in self.traits

    @property
    def field_sources(self) -> dict[str, str]:
        """Return which source each field is from, where there are several sources; else nothing."""
        return field_sources.unpack(self.source, self.given_by)

    @property
    def zone_info(self) -> ZoneInfo | None:
        """Return the time zone, None if it is not known or this machine does not have it."""
        return _zone_info(self.time_zone)

    def distance_km(self, other: "Location") -> float | None:
        """Return the great-circle distance to another answer, None if one has no coordinates.

        On a sphere: up to 0.5 % from that on the ellipsoid, and no answer is as exact as that.
        Raises ``TypeError`` when ``other`` is not a ``Location``.
        """
        if not isinstance(other, Location):
            raise TypeError(f"distance_km takes a Location, not {type(other).__name__}")
        here, there = self._point(), other._point()
        return great_circle_km(here, there) if here and there else None

    def to_geojson(self) -> dict[str, Any]:
        """Return a GeoJSON Feature (RFC 7946): a point, or no geometry, and the fields."""
        point = self._point()
        return {
            "type": "Feature",
            # Longitude first.
            "geometry": {"type": "Point", "coordinates": [*reversed(point)]} if point else None,
            "properties": self.to_plain(),
        }

    def to_plain(self) -> LocationDict:
        """Return the fields by name as plain JSON types, and ``found`` and ``stale``."""
        plain = {name: getattr(self, name) for name in FIELDS}
        plain["resolved_at"] = self.resolved_at.isoformat()
        plain["subdivisions"] = [asdict(one) for one in self.subdivisions]
        plain["traits"] = list(self.traits)
        plain["details"] = dict(self.details)
        del plain["given_by"]
        plain["field_sources"] = self.field_sources
        return cast("LocationDict", plain | {"found": bool(self), "stale": self.is_stale})

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Location":
        """Return the answer that ``to_plain`` has made plain, perhaps in another release.

        What it does not know it ignores, and what it misses it fills in. Raises
        ``UndecodableRecord`` when that is not an answer, or a field has another type.
        """
        try:
            known = asdict(_EMPTY) | {name: plain[name] for name in FIELDS if name in plain}
            known |= {"address": plain["address"], "resolved_at": plain["resolved_at"]}
            known["is_stale"] = plain.get("stale", False)
            if sources := plain.get("field_sources"):
                known["given_by"] = field_sources.packed_again(known["source"], sources)
            known["details"] = {"pairs": [*dict(known["details"]).items()]}
            location = msgspec.convert([*known.values()], cls)
            return location if "continent_code" in plain else _completed(location)
        except (
            LookupError,
            TypeError,
            AttributeError,
            ValueError,
            msgspec.ValidationError,
        ) as error:
            raise UndecodableRecord(f"this is not a location: {error}") from error

    def _point(self) -> tuple[float, float] | None:
        """Return latitude and longitude, None unless both are known."""
        latitude, longitude = self.latitude, self.longitude
        if latitude is None or longitude is None:
            return None
        is_finite = math.isfinite(latitude) and math.isfinite(longitude)
        return (latitude, longitude) if is_finite else None


# Of the answer itself: what a row has, and what pages and files show.
FIELDS: Final = tuple(
    name for name in Location.__struct_fields__ if name not in ("is_renewed", "is_stale")
)
FIELD_COUNT: Final = len(Location.__struct_fields__)
_EMPTY: Final = Location(address="", resolved_at=EPOCH)


def great_circle_km(here: tuple[float, float], there: tuple[float, float]) -> float:
    """Return the distance of two points in degrees, also of nearly equal and opposite ones.

    The special case of Vincenty's formula for a sphere. Source: T. Vincenty, Survey Review 23
    (1975).
    """
    (lat1, lon1), (lat2, lon2) = (map(math.radians, point) for point in (here, there))
    turn = lon2 - lon1
    across = math.cos(lat2) * math.sin(turn)
    along = math.cos(lat1) * math.sin(lat2) - math.sin(lat1) * math.cos(lat2) * math.cos(turn)
    inward = math.sin(lat1) * math.sin(lat2) + math.cos(lat1) * math.cos(lat2) * math.cos(turn)
    return EARTH_RADIUS_KM * math.atan2(math.hypot(across, along), inward)


# Of about 400 zones; and a name that does not exist makes no search of the disk each time.
@lru_cache(maxsize=1_000)
def _zone_info(name: str) -> ZoneInfo | None:
    if not ZONE_NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


class _Record(msgspec.Struct, gc=False, kw_only=True):
    v: int
    n: int
    # Releases up to 0.2.0 wrote 17 and did not say so.
    f: int = 17
    answers: list[Location]


def _plain(value: object) -> object:
    """Return text or a number of a class of its own, such as Django's safe text, as what it is."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"{type(value).__name__} is no part of an answer")


_encode: Final = msgspec.json.Encoder(enc_hook=_plain).encode
_decode: Final = msgspec.json.Decoder(_Record).decode
_COUNT: Final = re.compile(r'\{"v":\d+,"n":(\d{1,9}),')


def dump_locations(locations: Iterable[Location]) -> str:
    """Return the text of one journal record or hot entry."""
    # A provider of a project may give a dict.
    answers = [
        one if one.details.__class__ is Details else replace(one, details=Details.of(one.details))
        for one in locations
    ]
    try:
        record = _Record(v=RECORD_VERSION, n=len(answers), f=FIELD_COUNT, answers=answers)
        return _encode(record).decode()
    except UnicodeEncodeError:
        return dump_locations(map(_whole, answers))


def count_locations(text: object) -> int:
    """Return how many answers a record says it holds, without reading them; 1 if it cannot."""
    match = _COUNT.match(text) if isinstance(text, str) else None
    return int(match[1]) if match else 1


def load_locations(text: object) -> list[Location]:
    """Return the answers in a text of ``dump_locations``.

    Raises ``UndecodableRecord`` when it is anything else, or of a version not known here.
    """
    if not isinstance(text, str):
        raise UndecodableRecord("the record is not one of this app")
    try:
        record = _decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UndecodableRecord(f"the record cannot be read: {error}") from error
    if record.v != RECORD_VERSION:
        raise UndecodableRecord(f"the record has version {record.v}")
    if record.f < FIELD_COUNT:
        return list(map(_completed, record.answers))
    return record.answers


def _completed(location: Location) -> Location:
    """Return an answer of an earlier release with what follows from its country."""
    return replace(location, **completed({"country_code": location.country_code}))


def _whole(value: Any) -> Any:
    """Return an answer without halves of characters, which JSON can write and UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Location | Subdivision | Details):
        return replace(value, **{name: _whole(one) for name, one in asdict(value).items()})
    if isinstance(value, tuple | list | set | frozenset):
        return tuple(map(_whole, value))
    return value
