"""Close segments and read them, for the flush; tell writers how far it is, and of losses."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from django.core.cache import BaseCache

from geocache.cache import backends
from geocache.exceptions import JournalUnavailable
from geocache.journal import segments
from geocache.journal.segments import Name
from geocache.locks.cache_lock import CacheLock

# Segments in a row without any key after which a lost numbering counts as read to its end.
EMPTY_SEGMENTS: Final = 64
# Segments that are read at once, of 64 records each, and how much text is wanted of them: a segment
# holds from one short record to 64 of 200 answers, 3 MB.
READ_SEGMENTS: Final = 8
READ_LENGTH: Final = 500_000
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


def close_segments(numbers: Iterable[int]) -> Iterator[ClosedSegment]:
    """Seal segments after their last records; give all records of each, in the order given.

    Several are read at once while they hold little, as of answers that were journaled one by one.
    """
    waiting, size = iter(numbers), 1
    while some := list(islice(waiting, size)):
        closed = close_some(some)
        # A record that was put there by hand may be a number.
        length = sum(len(str(text)) for segment in closed for text in segment.records.values())
        is_short = length <= READ_LENGTH // 2
        yield from closed
        size = min(2 * size, READ_SEGMENTS) if is_short else max(size // 2, 1)


def close_some(numbers: Sequence[int]) -> list[ClosedSegment]:
    """Seal segments after their last records and return all records of each."""
    keys = [segments.record_keys(number) for number in numbers]
    with segments.open_journal() as backend:
        present = segments.read(backend, [key for some in keys for key in some])
        are_untouched = [not any(key in present for key in some) for some in keys]
        seals = [
            _seal_key(number, some, present) for number, some in zip(numbers, keys, strict=True)
        ]
        new = [key for key in seals if key not in present]
        added = backends.add_many(backend, new, segments.SEAL, segments.SEAL_SECONDS)
        present |= dict.fromkeys(added, segments.SEAL)
        return [
            _settled(backend, number, some, present, is_untouched=is_untouched)
            for number, some, is_untouched in zip(numbers, keys, are_untouched, strict=True)
        ]


def _seal_key(number: int, keys: Sequence[str], present: dict[str, str]) -> str:
    """Return the key after the last record of a segment."""
    end = segments.end_of(present, keys)
    # After the last record of a full one: its writer sees that the flush has seen all.
    return segments.record_key(number, end) if end == len(keys) else keys[end]


def _settled(
    backend: BaseCache,
    number: int,
    keys: Sequence[str],
    present: dict[str, str],
    *,
    is_untouched: bool,
) -> ClosedSegment:
    """Return a segment whose seal was added, unless a writer was there before it."""
    # A writer may be faster than the seal, again and again, until the segment is full.
    for _ in range(segments.RECORDS_PER_SEGMENT + segments.READ_ATTEMPTS):
        end = segments.end_of(present, keys)
        if segments.settle(backend, _seal_key(number, keys, present), present) == segments.SEAL:
            break
        present |= segments.read(backend, keys[end:])
    else:
        raise JournalUnavailable(f"segment {number} of the journal cannot be sealed")
    # A gap counts as lost only when the seal wins there too: a miss alone proves nothing.
    for key in keys[:end]:
        if key not in present:
            segments.settle(backend, key, present)
    records = {key: present[key] for key in keys[:end] if present[key] != segments.SEAL}
    return ClosedSegment(number, records, end - len(records), is_untouched and not records)


def forget(keys: Iterable[str]) -> None:
    """Delete records that are in the table now."""
    with segments.open_journal() as backend:
        backends.delete_many(backend, keys)


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
