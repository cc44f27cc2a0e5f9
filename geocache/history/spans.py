"""Where an address was: its history entries and the present one, each with its span of time."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from geocache.location import Location
from geocache.models import AnswerHistory, GeoCache
from geocache.models.history import midnight

# Former answers that are read of one address; the newest.
SHOWN_SPANS: Final = 50
DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Span:
    """An answer, and from when to when it was the one; ``valid_until`` is None for the present."""

    answer: Location
    valid_from: datetime
    valid_until: datetime | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return the answer and its span as plain JSON types."""
        until = self.valid_until.isoformat() if self.valid_until else None
        span = {"valid_from": self.valid_from.isoformat(), "valid_until": until}
        return self.answer.to_plain() | span


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


def _past(row: AnswerHistory) -> Span:
    return Span(row.to_location(), row.valid_from, row.valid_until)
