"""What waits in the journal, without changing it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from geocache import conf
from geocache.exceptions import UndecodableRecord
from geocache.journal import segments
from geocache.location import Location, count_locations, load_locations
from geocache.models import JournalHead

# Segments that ``backlog`` reads before it estimates the rest.
BACKLOG_SEGMENTS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits to be flushed; an estimate when it is long."""

    answer_count: int = 0
    oldest_at: datetime | None = None
    is_exact: bool = True

    def waited_seconds(self, at: datetime) -> float:
        """Return how long the oldest answer has waited at ``at``; 0 when there is none."""
        return 0.0 if self.oldest_at is None else max((at - self.oldest_at).total_seconds(), 0.0)


def read_backlog() -> Backlog:
    """Return how much waits to be flushed. Writes nothing; raises ``JournalUnavailable``."""
    return backlog(JournalHead.flushed_through_of(conf.get("CACHE_ALIAS")))


def backlog(head: int) -> Backlog:
    """Return how much waits behind ``head``; reads at most 64 segments and estimates the rest."""
    texts, remaining = _waiting(head)
    count = sum(map(count_locations, texts))
    return Backlog(
        answer_count=count + remaining * count // BACKLOG_SEGMENTS,
        oldest_at=_resolved_at(texts),
        is_exact=not remaining,
    )


def find(head: int, address: str) -> Location | None:
    """Return the newest answer for ``address`` behind ``head``; looks into at most 64 segments."""
    written = json.dumps(address)
    texts = [text for text in _waiting(head)[0] if written in text]
    found = [one for text in texts for one in _readable(text) if one.address == address]
    return max(found, key=lambda one: one.resolved_at, default=None)


def _waiting(head: int) -> tuple[list[str], int]:
    """Return the records of the first segments behind ``head``, and how many segments follow."""
    with segments.open_journal() as backend:
        last = backend.get(segments.TICKET_KEY)
    if not isinstance(last, int):
        # Nothing was ever journaled; or the counter is lost, and the next flush seeds it again.
        return [], 0
    first = segments.head_for(last, head) + 1
    numbers = range(first, min(last + 1, first + BACKLOG_SEGMENTS))
    keys = [key for number in numbers for key in segments.record_keys(number)]
    with segments.open_journal() as backend:
        present = segments.read(backend, keys) if keys else {}
    texts = [present[key] for key in keys if present.get(key, segments.SEAL) != segments.SEAL]
    return texts, max(last + 1 - first - BACKLOG_SEGMENTS, 0)


def _readable(text: str) -> list[Location]:
    try:
        return load_locations(text)
    except UndecodableRecord:
        return []


def _resolved_at(texts: list[str]) -> datetime | None:
    for text in texts:
        try:
            return min(location.resolved_at for location in load_locations(text))
        except (UndecodableRecord, ValueError):
            continue
    return None
