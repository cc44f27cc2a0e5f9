"""``Location``, the answer for one address, and its text form in the cache.

The text is JSON, ``{"v": 1, "n": 2, "answers": [[...], [...]]}``: a version, how many answers, and
for each its fields in order, and a 1 behind them if it was renewed and not asked for. It is one
text for hot entries and journal records. A later release may append fields: a reader ignores what
it does not know and fills in what it misses.
"""

import json
import re
from collections.abc import Container, Iterable
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from operator import attrgetter, contains
from typing import Any, Final

from geocache.exceptions import UndecodableRecord

RECORD_VERSION: Final = 1
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
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


# Those that are kept.
_KEPT: Final = tuple(one for one in fields(Location) if one.compare)
FIELDS: Final = tuple(one.name for one in _KEPT)
_NOT_TEXT: Final[dict[str, set[type]]] = {
    "latitude": {float, int, type(None)},
    "longitude": {float, int, type(None)},
    "accuracy_radius_km": {int, type(None)},
    "asn": {int, type(None)},
    "resolved_at": {int},
}
# The exact types of each field in a text: ``True`` is no number.
_TYPES: Final[tuple[Container[object], ...]] = tuple(_NOT_TEXT.get(name, {str}) for name in FIELDS)
_LATITUDE: Final = FIELDS.index("latitude")
_LONGITUDE: Final = FIELDS.index("longitude")
_RESOLVED_AT: Final = FIELDS.index("resolved_at")
# What a text of an earlier release does not hold; the first two have always been there.
_DEFAULTS: Final[list[Any]] = [None if one.default is MISSING else one.default for one in _KEPT]
# Into the slots themselves: the constructor of a frozen dataclass takes twice as long, and a flush
# or a page makes many.
_put: Final = tuple(getattr(Location, one.name).__set__ for one in fields(Location))
_values: Final = attrgetter(*FIELDS)
# Made once: ``json.dumps`` makes an encoder for each text, ``json.loads`` looks at it first.
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
_decode: Final = json.JSONDecoder().decode
_COUNT: Final = re.compile(r'\{"v":\d+,"n":(\d{1,9}),')


def dump_locations(locations: Iterable[Location]) -> str:
    """Return the text of one journal record or hot entry."""
    answers = [_to_row(location) for location in locations]
    record = {"v": RECORD_VERSION, "n": len(answers), "answers": answers}
    return _encode(record)


def count_locations(text: object) -> int:
    """Return how many answers a record says it holds, without reading them; 1 if it cannot."""
    match = _COUNT.match(text) if isinstance(text, str) else None
    return int(match[1]) if match else 1


def load_locations(text: object) -> list[Location]:
    """Return the answers in a text of ``dump_locations``.

    Raises ``UndecodableRecord`` when it is anything else, or of a version not known here.
    """
    try:
        record = _decode(text) if isinstance(text, str) else None
        if not isinstance(record, dict) or not isinstance(record.get("answers"), list):
            raise UndecodableRecord("the record is not one of this app")
        if record.get("v") != RECORD_VERSION:
            raise UndecodableRecord(f"the record has version {record.get('v')!r}")
        return [_from_row(row) for row in record["answers"]]
    except UndecodableRecord:
        raise
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise UndecodableRecord(f"the record cannot be read: {error}") from error


def _to_row(location: Location) -> list[Any]:
    row = list(_values(location))
    row[_RESOLVED_AT] = (location.resolved_at - EPOCH) // MICROSECOND
    return [*row, 1] if location.is_renewed else row


def _from_row(row: list[Any]) -> Location:
    values = row[: len(FIELDS)] + _DEFAULTS[len(row) :]
    # Without a loop of Python's: a flush reads many.
    if not all(map(contains, _TYPES, map(type, values))):
        types = [type(value).__name__ for value in row]
        raise TypeError(f"its fields are {', '.join(types)}")
    if not (isfinite(values[_LATITUDE] or 0) and isfinite(values[_LONGITUDE] or 0)):
        raise ValueError(f"its place is {values[_LATITUDE]}, {values[_LONGITUDE]}")
    values[_RESOLVED_AT] = EPOCH + timedelta(microseconds=values[_RESOLVED_AT])
    is_renewed = row[len(FIELDS) :][:1] == [1]
    location = object.__new__(Location)
    for put, value in zip(_put, (*values, is_renewed, False), strict=True):
        put(location, value)
    return location
