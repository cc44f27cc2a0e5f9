"""``Location``, the answer for one address, and its text form in the cache.

The text is JSON, ``{"v":2,"n":2,"answers":[[...],[...]]}``: a version, how many answers, and for
each its fields in order, at last whether it was renewed and not asked for. It is one text for hot
entries and journal records. A later release may append fields: a reader ignores what it does not
know and fills in what it misses.
"""

import re
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Annotated, Any, Final, get_type_hints

import msgspec

from geocache.exceptions import UndecodableRecord

RECORD_VERSION: Final = 2
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Earlier than any day on which somebody has.
NOBODY_ASKED: Final = EPOCH.date()

NOT_FOUND: Final = "not_found"
UNAVAILABLE: Final = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where an address is. False when nothing is known; ``reason`` then says why.

    ``latitude`` and ``longitude`` are WGS 84 degrees. ``network`` is the block, in CIDR notation,
    for which the answer holds. ``source`` names each database and the day it was built.
    """

    address: str
    resolved_at: datetime
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
    # Resolved again although nobody asked: it does not count as asked for. No part of the answer.
    is_renewed: bool = field(default=False, compare=False, repr=False)
    # True of an old row that stands in while the provider fails. Said to the caller, never kept.
    is_stale: bool = field(default=False, compare=False)

    def __bool__(self) -> bool:
        return not self.reason

    @property
    def asked_on(self) -> date:
        """Return the day of UTC on which it was asked for; the first of all when it was not."""
        return NOBODY_ASKED if self.is_renewed else self.resolved_at.astimezone(UTC).date()

    def to_plain(self) -> dict[str, Any]:
        """Return the fields by name as plain JSON types, and ``found`` and ``stale``."""
        plain = {name: getattr(self, name) for name in FIELDS}
        plain["resolved_at"] = self.resolved_at.isoformat()
        return plain | {"found": bool(self), "stale": self.is_stale}


# Those that are kept in a text; with ``is_renewed`` behind them.
FIELDS: Final = tuple(one.name for one in fields(Location) if one.compare)
_KEPT: Final = tuple(one for one in fields(Location) if one.name in {*FIELDS, "is_renewed"})
_TYPES: Final[dict[str, Any]] = get_type_hints(Location) | {
    "resolved_at": Annotated[datetime, msgspec.Meta(tz=True)]
}
# An answer in a text: a list, whose reader checks the exact type of each field.
_Row: Final[Any] = msgspec.defstruct(
    "_Row",
    [
        (one.name, _TYPES[one.name], msgspec.NODEFAULT if one.default is MISSING else one.default)
        for one in _KEPT
    ],
    array_like=True,
    gc=False,
)
_Record: Final[Any] = msgspec.defstruct(
    "_Record", [("v", int), ("n", int), ("answers", list[_Row])]
)
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Record).decode
_COUNT: Final = re.compile(r'\{"v":\d+,"n":(\d{1,9}),')
# Into the slots themselves: the constructor of a frozen dataclass takes twice as long, and a flush
# or a page makes many.
_put: Final = tuple(getattr(Location, one.name).__set__ for one in fields(Location))
_values: Final = attrgetter(*(one.name for one in _KEPT))


def dump_locations(locations: Iterable[Location]) -> str:
    """Return the text of one journal record or hot entry."""
    rows = [_Row(*_values(location)) for location in locations]
    try:
        return _encode(_Record(RECORD_VERSION, len(rows), rows)).decode()
    except UnicodeEncodeError:
        rows = [_Row(*map(_whole, _values(row))) for row in rows]
        return _encode(_Record(RECORD_VERSION, len(rows), rows)).decode()


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
    return [_location(row) for row in record.answers]


def _location(row: Any) -> Location:
    location = object.__new__(Location)
    for put, value in zip(_put, (*_values(row), False), strict=True):
        put(location, value)
    return location


def _whole(value: Any) -> Any:
    """Return a text without halves of characters, which JSON can write and UTF-8 cannot."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
