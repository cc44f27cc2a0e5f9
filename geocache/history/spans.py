"""Where an address was: its history entries and the present one, each with its span of time."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from geocache.location import Location, LocationDict
from geocache.models import AnswerHistory, GeoCache
from geocache.models.history import CHUNK_ADDRESSES, midnight

# Former answers that are read of one address; the newest.
SHOWN_SPANS: Final = 50
DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class SpanDict(LocationDict):
    """A ``Span`` in JSON."""

    valid_from: str
    valid_until: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """An answer, and from when to when it was the one; ``valid_until`` is None for the present."""

    answer: Location
    valid_from: datetime
    valid_until: datetime | None = None

    def to_plain(self) -> SpanDict:
        """Return the answer and its span as plain JSON types."""
        return {
            **self.answer.to_plain(),
            "valid_from": self.valid_from.isoformat(),
            "valid_until": self.valid_until.isoformat() if self.valid_until else None,
        }


def parse_day(text: str) -> date:
    """Return the day that is written as 2026-01-31, and in no other way; raise ``ValueError``."""
    if not DAY.fullmatch(text):
        raise ValueError(f"{text!r} is no day such as 2026-01-31")
    return date.fromisoformat(text)


def past_spans(address: str) -> list[Span]:
    """Return the newest of the history entries of a normalised ``address``, newest first."""
    rows = AnswerHistory.objects.filter(address=address).order_by("-valid_until")
    return [_past(row) for row in rows[:SHOWN_SPANS]]


def answer_on(address: str, day: date) -> Span | None:
    """Return what the table knew of a normalised ``address`` when ``day`` ended.

    The day is one of the current time zone; of today, or later, the present answer. None when
    nothing was known then. At most three queries.
    """
    end = midnight(day + timedelta(days=1))
    former = AnswerHistory.objects.filter(address=address)
    replaced = former.filter(valid_until__gte=end).order_by("valid_until").first()
    if replaced is not None and replaced.valid_from < end:
        return _past(replaced)
    row = GeoCache.objects.filter(address=address).first()
    if replaced is not None or row is None or row.created_at >= end:
        return None
    last = former.order_by("-valid_until").first()
    began = max(last.valid_until, row.created_at) if last else row.created_at
    return Span(row.to_location(), began)


def former_answers(
    asked: Collection[tuple[str, datetime]],
) -> dict[tuple[str, datetime], Location]:
    """Return the answers that held for normalised addresses at those moments, if since replaced.

    What still held today, and what was not known then, is left out. One query for 1,000 addresses.
    """
    moments: dict[str, list[datetime]] = {}
    for address, at in asked:
        moments.setdefault(address, []).append(at)
    addresses = sorted(moments)
    found: dict[tuple[str, datetime], Location] = {}
    for start in range(0, len(addresses), CHUNK_ADDRESSES):
        some = addresses[start : start + CHUNK_ADDRESSES]
        first = min(min(moments[address]) for address in some)
        for row in AnswerHistory.objects.filter(address__in=some, valid_until__gt=first):
            for at in moments[row.address]:
                if row.valid_from <= at < row.valid_until:
                    found[row.address, at] = row.to_location()
    return found


def _past(row: AnswerHistory) -> Span:
    return Span(row.to_location(), row.valid_from, row.valid_until)
