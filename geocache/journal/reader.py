"""Close segments and read them, for the flush; tell writers how far it is, and of losses."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from geocache.journal import segments
from geocache.locks.cache_lock import CacheLock

log = structlog.get_logger(__name__)

# Segments in a row without any key after which a lost numbering counts as read to its end.
EMPTY_SEGMENTS: Final = 64


LOCK_KEY: Final = "lock"


# --- writing ---------------------------------------------------------------------------------


# --- reading, for the flush --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClosedSegment:
    """A sealed segment, to which no writer can append: its record texts by cache key."""

    number: int
    records: dict[str, str] = field(default_factory=dict)
    lost_count: int = 0
    is_untouched: bool = False


def last_ticket() -> int:
    """Return the newest ticket, after seeding the counter where there is none."""
    with segments.open_journal() as backend:
        ticket = backend.get(segments.TICKET_KEY)
        if isinstance(ticket, int):
            return ticket
        return segments.next_ticket(backend, 0)


def skip_past(head: int) -> tuple[int, int]:
    """Raise a counter that went back over ``head``: return its values before and after."""
    with segments.open_journal() as backend:
        step = max(head - last_ticket(), 0) + 2 * segments.JUMP
        ticket = backend.incr(segments.TICKET_KEY, step)
        return ticket - step, ticket


def close_segment(number: int) -> ClosedSegment:
    """Seal segment ``number`` and return all its records."""
    keys = segments.record_keys(number)
    with segments.open_journal() as backend:
        present = segments.read(backend, keys)
        is_untouched = not present
        # A writer may be faster than the seal, again and again, until the segment is full.
        for _ in range(segments.RECORDS_PER_SEGMENT + segments.READ_ATTEMPTS):
            end = segments.end_of(present, keys)
            if (
                end == segments.RECORDS_PER_SEGMENT
                or segments.settle(backend, keys[end], present) == segments.SEAL
            ):
                break
            present |= segments.read(backend, keys[end:])
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


def publish_flushed_through(head: int) -> None:
    """Let writers know how far the journal is flushed."""
    with segments.open_journal() as backend:
        backend.set(segments.HEAD_KEY, head, timeout=None)


def announce_loss() -> None:
    """Have writers journal again what they hold: the cache has lost some of it."""
    with segments.open_journal() as backend:
        backend.set(segments.LOSS_KEY, uuid.uuid4().hex, timeout=None)


@contextmanager
def lock(timeout_seconds: float, wait_seconds: float = 5.0) -> Iterator[bool]:
    """Hold the flushers' lock, or go on without it (False) when another keeps it for too long."""
    flushers_lock = CacheLock(timeout_seconds)
    with segments.open_journal() as backend:
        is_held = flushers_lock.acquire(backend, LOCK_KEY, wait_seconds=wait_seconds)
    try:
        yield is_held
    finally:
        if is_held:
            with segments.open_journal() as backend:
                flushers_lock.release(backend, [LOCK_KEY])
