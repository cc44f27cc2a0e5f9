"""``Location``, the answer for one address, and its text form in the cache.

The text is JSON, ``{"v":2,"n":2,"answers":[[...],[...]]}``: a version, how many answers, and for
each its fields in order. It is one text for hot entries and journal records, and its reader checks
the exact type of each field. A later release may append fields: a reader ignores what it does not
know and fills in what it misses.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec.structs import asdict, replace

from geocache.exceptions import UndecodableRecord

RECORD_VERSION: Final = 2
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Earlier than any day on which somebody has.
NEVER_SEEN: Final = EPOCH.date()

NOT_FOUND: Final = "not_found"
UNAVAILABLE: Final = "unavailable"


class Location(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Where an address is. False when nothing is known; ``reason`` then says why.

    ``latitude`` and ``longitude`` are WGS 84 degrees. ``network`` is the block, in CIDR notation,
    for which the answer holds. ``source`` names each database and the day it was built.
    ``msgspec.structs.replace`` makes a changed copy.
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

    def __bool__(self) -> bool:
        return not self.reason

    @property
    def last_seen_on(self) -> date:
        """Return the day of UTC on which it was asked for; the first of all when it was not."""
        return NEVER_SEEN if self.is_renewed else self.resolved_at.astimezone(UTC).date()

    def to_plain(self) -> dict[str, Any]:
        """Return the fields by name as plain JSON types, and ``found`` and ``stale``."""
        plain = {name: getattr(self, name) for name in FIELDS}
        plain["resolved_at"] = self.resolved_at.isoformat()
        return plain | {"found": bool(self), "stale": self.is_stale}


# Of the answer itself: what a row has, and what pages and files show.
FIELDS: Final = Location.__struct_fields__[: Location.__struct_fields__.index("is_renewed")]


class _Record(msgspec.Struct):
    v: int
    n: int
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
    answers = list(locations)
    try:
        return _encode(_Record(RECORD_VERSION, len(answers), answers)).decode()
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
    return record.answers


def _whole(location: Location) -> Location:
    """Return an answer without halves of characters, which JSON can write and UTF-8 cannot."""
    texts = {
        name: value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for name, value in asdict(location).items()
        if isinstance(value, str)
    }
    return replace(location, **texts)
