"""Close segments and read them, for the flush; tell writers how far it is, and of losses."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from geocache.cache import backends
from geocache.exceptions import JournalUnavailable
from geocache.journal import segments
from geocache.journal.segments import Name
from geocache.locks.cache_lock import CacheLock

# Segments in a row without any key after which a lost numbering counts as read to its end.
EMPTY_SEGMENTS: Final = 64
MAX_LOCK_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class ClosedSegment:
    """A sealed segment, to which no writer can append: its record texts by cache key."""

    number: int
    records: dict[str, str] = field(default_factory=dict)
    lost_count: int = 0
    is_untouched: bool = False


def begin_flush() -> tuple[int, int]:
    """Return the newest ticket and the number of this flush.

    What was added before is in segments up to that one. Writers that add to these from now on see
    that a flush has begun, and add again elsewhere.
    """
    last = last_ticket()
    return last, _end_segments()


def last_ticket() -> int:
    """Return the newest ticket, after seeding the counter where there is none."""
    with segments.open_journal() as backend:
        last = backends.raised(backend, segments.key(Name.TICKET), 0)
        return segments.next_ticket(backend, 0) if last is None else last


def skip_past(head: int) -> tuple[int, int]:
    """Raise a counter that went back over ``head``: return its values before and after."""
    with segments.open_journal() as backend:
        step = max(head - last_ticket(), 0) + 2 * segments.JUMP
        ticket = backends.incr(backend, segments.key(Name.TICKET), step)
    _end_segments()
    return ticket - step, ticket


def _end_segments() -> int:
    with segments.open_journal() as backend:
        return segments.flush_number(backend, 1)


def close_segment(number: int) -> ClosedSegment:
    """Seal segment ``number`` after its last record and return all its records."""
    keys = segments.record_keys(number)
    # After the last record of a full one: its writer sees that the flush has seen all.
    after = segments.record_key(number, segments.RECORDS_PER_SEGMENT)
    with segments.open_journal() as backend:
        present = segments.read(backend, keys)
        is_untouched = not present
        # A writer may be faster than the seal, again and again, until the segment is full.
        for _ in range(segments.RECORDS_PER_SEGMENT + segments.READ_ATTEMPTS):
            end = segments.end_of(present, keys)
            seal = after if end == segments.RECORDS_PER_SEGMENT else keys[end]
            if segments.settle(backend, seal, present) == segments.SEAL:
                break
            present |= segments.read(backend, keys[end:])
        else:
            raise JournalUnavailable(f"segment {number} of the journal cannot be sealed")
        # A gap counts as lost only when the seal wins there too: a miss alone proves nothing.
        settled = {key: segments.settle(backend, key, present) for key in keys[:end]}
    records = {key: text for key, text in settled.items() if text != segments.SEAL}
    return ClosedSegment(number, records, end - len(records), is_untouched and not records)


def forget(keys: Iterable[str]) -> None:
    """Delete records that are in the table now."""
    with segments.open_journal() as backend:
        if listed := list(keys):
            backend.delete_many(listed)


def forget_segments(first: int, last: int) -> None:
    """Delete what segments ``first`` to ``last`` still hold, but never a seal."""
    for number in range(first, last + 1):
        with segments.open_journal() as backend:
            present = segments.read(backend, segments.record_keys(number))
        forget(key for key, value in present.items() if value != segments.SEAL)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a journal is flushed, and how many answers were written by then."""

    flushed_through: int = 0
    written_count: int = 0


def published() -> Position:
    """Return what the last flush has told the cache."""
    names = Name.HEAD, Name.WRITTEN
    with segments.open_journal() as backend:
        known = segments.read(backend, [segments.key(name) for name in names])
    return Position(*(segments.number_of(known, name) or 0 for name in names))


def publish(position: Position) -> None:
    """Let writers know how far the journal is flushed, and the next flush what was written."""
    with segments.open_journal() as backend:
        backend.set(segments.key(Name.WRITTEN), position.written_count, timeout=None)
        backend.set(segments.key(Name.HEAD), position.flushed_through, timeout=None)


def announce_loss() -> None:
    """Have writers journal again what they hold: the cache has lost some of it."""
    with segments.open_journal() as backend:
        backend.set(segments.key(Name.LOSS), uuid.uuid4().hex, timeout=None)


def count_deleted(answer_count: int) -> None:
    """Count answers that do not wait any more."""
    with segments.open_journal() as backend:
        segments.count_pending(backend, -answer_count)


@contextmanager
def lock(timeout_seconds: float, wait_seconds: float = 5.0) -> Iterator[bool]:
    """Hold the flushers' lock, or go on without it (False) when another keeps it for too long."""
    # A flush without a time limit should not keep others waiting long after it was killed.
    flushers_lock, key = CacheLock(min(timeout_seconds, MAX_LOCK_SECONDS)), segments.key(Name.LOCK)
    with segments.open_journal() as backend:
        is_held = flushers_lock.acquire(backend, key, wait_seconds=wait_seconds)
    try:
        yield is_held
    finally:
        if is_held:
            with segments.open_journal() as backend:
                flushers_lock.release(backend, [key])
