"""What waits in the journal, without changing it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from geocache import conf
from geocache.cache import backends
from geocache.exceptions import UndecodableRecord
from geocache.journal import segments
from geocache.journal.segments import Name
from geocache.location import Location, count_locations, load_locations
from geocache.models import JournalHead

# Segments that are looked into, for an answer or the oldest.
READ_SEGMENTS: Final = 64
# Segments that stand for all when many wait: each may hold 64 records of 200 answers.
SAMPLED_SEGMENTS: Final = 16
# Segments that are read at once: their first records may hold 200 answers each.
STEP_SEGMENTS: Final = 8
# Intervals of the flush after which an answer that still waits is late.
MISSED_INTERVALS: Final = 3
# A flush within this time shows that something flushes regularly, if only cron each hour.
RECENT_FLUSH: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits to be flushed."""

    answer_count: int = 0
    oldest_at: datetime | None = None

    def waited_seconds(self, at: datetime) -> float:
        """Return how long the oldest answer has waited at ``at``; 0 when there is none."""
        return 0.0 if self.oldest_at is None else max((at - self.oldest_at).total_seconds(), 0.0)


def patience() -> tuple[timedelta, timedelta]:
    """Return how long an answer may wait until it is late, and until nothing seems to flush."""
    late = timedelta(seconds=MISSED_INTERVALS * conf.get("FLUSH_INTERVAL_SECONDS"))
    return late, max(late, RECENT_FLUSH)


def read_backlog() -> Backlog:
    """Return how much waits to be flushed in all journals that this process flushes.

    Writes nothing; raises ``JournalUnavailable`` when one of the caches is away.
    """
    return sum_of([read_journal(alias) for alias in backends.journal_aliases()])


def sum_of(journals: Iterable[Backlog]) -> Backlog:
    """Return what waits in several journals together."""
    listed = list(journals)
    oldest = (one.oldest_at for one in listed if one.oldest_at is not None)
    count = sum(one.answer_count for one in listed)
    return Backlog(answer_count=count, oldest_at=min(oldest, default=None))


def read_journal(alias: str) -> Backlog:
    """Return how much waits in the cache of ``alias``. Writes nothing.

    Raises ``JournalUnavailable``.

    A count that writers and flushers keep: after one was killed it is off by some until the next
    flush has counted again.
    """
    with backends.using(alias):
        with segments.open_journal() as backend:
            known = segments.read(backend, [segments.key(Name.PENDING)])
        count = max(segments.number_of(known, Name.PENDING) or 0, 0)
        oldest_at = _oldest_at(_flushed_through()) if count else None
    return Backlog(answer_count=count, oldest_at=oldest_at)


def recount(head: int) -> int:
    """Count what waits behind ``head`` again; return how many answers. For the end of a flush.

    Two flushers at once count the same answers down, and what was killed did not count: so the
    count is set. Reads ``READ_SEGMENTS`` segments at most, and of more than that a sample.
    """
    with segments.open_journal() as backend:
        known = segments.read(backend, [segments.key(Name.PENDING)])
        counted = segments.number_of(known, Name.PENDING) or 0
        numbers = _waiting(head)
        step = -(-len(numbers) // SAMPLED_SEGMENTS) if len(numbers) > READ_SEGMENTS else 1
        texts = [text for some in _texts(numbers[::step]) for text in some]
        count = sum(map(count_locations, texts)) * step
        segments.count_pending(backend, count - counted)
    return count


def find(address: str) -> Location | None:
    """Return the newest answer for ``address`` that waits; looks into 64 segments of each journal.

    Raises ``JournalUnavailable``.
    """
    found: list[Location] = []
    for alias in backends.journal_aliases():
        with backends.using(alias):
            found += _find(address)
    return max(found, key=lambda one: one.resolved_at, default=None)


def _find(address: str) -> list[Location]:
    written = json.dumps(address)
    numbers = _waiting(_flushed_through())[:READ_SEGMENTS]
    texts = [text for some in _texts(numbers) for text in some if written in text]
    return [one for text in texts for one in readable(text) if one.address == address]


def _flushed_through() -> int:
    return JournalHead.flushed_through_of(segments.journal_name())


def _waiting(head: int) -> range:
    """Return the numbers of the segments behind ``head``."""
    with segments.open_journal() as backend:
        known = segments.read(backend, [segments.key(Name.TICKET), segments.key(Name.HEAD)])
    last = segments.number_of(known, Name.TICKET)
    if last is None:
        # Nothing was ever journaled; or the counter is lost, and the next flush seeds it again.
        return range(0)
    if not segments.is_one_numbering(head, last):
        # It may be that of another cache with this alias: see ``identity``.
        head = segments.number_of(known, Name.HEAD) or 0
    return range(segments.head_for(last, head) + 1, last + 1)


def _texts(numbers: Sequence[int]) -> Iterator[list[str]]:
    """Give the records of some segments at a time, in their order."""
    for start in range(0, len(numbers), STEP_SEGMENTS):
        some = numbers[start : start + STEP_SEGMENTS]
        keys = [key for number in some for key in segments.record_keys(number)]
        with segments.open_journal() as backend:
            present = segments.read(backend, keys)
        yield [present[key] for key in keys if present.get(key, segments.SEAL) != segments.SEAL]


def _oldest_at(head: int) -> datetime | None:
    """Return when the first answer behind ``head`` was resolved."""
    numbers = _waiting(head)[:READ_SEGMENTS]
    for start in range(0, len(numbers), STEP_SEGMENTS):
        keys = [segments.record_key(number, 0) for number in numbers[start : start + STEP_SEGMENTS]]
        with segments.open_journal() as backend:
            present = segments.read(backend, keys)
        if moments := [one.resolved_at for text in present.values() for one in readable(text)]:
            return min(moments)
    return None


def readable(text: str) -> list[Location]:
    """Return the answers in a text of the cache, none where it cannot be read."""
    try:
        return load_locations(text)
    except UndecodableRecord:
        return []
