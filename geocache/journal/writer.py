"""Append to the journal."""

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from django.core.cache import BaseCache

from geocache import conf
from geocache.cache import backends
from geocache.cache.backends import Entry
from geocache.exceptions import JournalUnavailable
from geocache.journal import segments
from geocache.location import Location, dump_locations

log = structlog.get_logger(__name__)

ANSWERS_PER_RECORD: Final = 200
SEGMENT_SECONDS: Final = 30.0
# An ``add`` that took longer may have landed behind a seal that has expired: it is not trusted.
LATE_SECONDS: Final = 60.0
# Back-to-back flushes may seal a segment before its first record is written.
APPEND_ATTEMPTS: Final = 16
# Texts that a writer holds until they are flushed, to repair what the cache loses; in bytes.
HELD_BYTES: Final = 8 * 2**20


def append(locations: Sequence[Location], entry: Entry | None = None) -> bool:
    """Journal answers, 200 a record; when this returns they will not be lost.

    Return whether ``entry``, the hot entry of the first one, was set together with it. Raises
    ``JournalUnavailable``; some of the answers may then be in the journal all the same, which does
    no harm.
    """
    is_set = False
    for start in range(0, len(locations), ANSWERS_PER_RECORD):
        text = dump_locations(locations[start : start + ANSWERS_PER_RECORD])
        is_set |= process_writer.append(text, None if start else entry)
    return is_set


def append_text(text: str) -> None:
    """Journal a record of another kind than answers; raise ``JournalUnavailable``."""
    process_writer.append(text)


@dataclass(slots=True)
class OpenSegment:
    """A segment that this process owns, used by one thread at a time."""

    number: int
    opened_at: float
    # How many losses this process knew of: a segment from before the last one is not trusted.
    loss_count: int
    record_count: int = 0


class Writer:
    """What this process needs to append: segments not in use, and the texts not yet flushed."""

    def __init__(self) -> None:
        self.reset()

    def append(self, text: str, entry: Entry | None = None) -> bool:
        """Add one record to a segment of this process; raise ``JournalUnavailable``.

        Return whether ``entry`` was set with it: nobody sees it before the record is there.
        """
        if self.process_id != os.getpid():
            # A fork: the parent goes on with these segments, the child must not.
            self.reset()
        with segments.open_journal() as backend:
            for _ in range(APPEND_ATTEMPTS):
                # Before the segment's age is looked at: a pause between the two must count.
                started = now()
                segment = self.free_segment(started) or self._new_segment(backend, started)
                record = segments.record_key(segment.number, segment.record_count)
                is_set = entry is not None and backends.add_both(backend, record, text, entry)
                is_added = is_set or backend.add(record, text, timeout=None)
                if is_added and self._keep(segment, text, started):
                    return is_set
                # Sealed by a flusher, late, or of a lost numbering: the segment is given up.
        raise JournalUnavailable(f"no segment took the record in {APPEND_ATTEMPTS} attempts")

    def reset(self) -> None:
        self.open_segments: list[OpenSegment] = []
        self.last_ticket = 0
        self._last_loss = ""
        self._loss_count = 0
        self._has_to_repair = False
        self.held: deque[tuple[int, str]] = deque()
        self.held_bytes = 0
        self._lock = threading.Lock()
        # Last: until then another thread of a new child resets, too.
        self.process_id = os.getpid()

    def free_segment(self, now: float) -> OpenSegment | None:
        while True:
            try:
                segment = self.open_segments.pop()
            except IndexError:
                return None
            if now - segment.opened_at < SEGMENT_SECONDS:
                return segment

    def _new_segment(self, backend: BaseCache, now: float) -> OpenSegment:
        # Before the ticket is taken: another thread's is then never mistaken for a step back.
        previous = self.last_ticket
        ticket = segments.next_ticket(
            backend, segments.base_of(previous) + segments.SEED_STEP if previous else 0
        )
        known = segments.read(backend, [segments.HEAD_KEY, segments.LOSS_KEY])
        head = segments.head_for(ticket, known.get(segments.HEAD_KEY))
        with self._lock:
            self.last_ticket = ticket
            self._look_for_loss(previous, ticket, known.get(segments.LOSS_KEY, ""))
            if not self._has_to_repair:
                self._let_go(head)
            segment = OpenSegment(ticket, now, self._loss_count)
        if self._has_to_repair:
            self._journal_again()
        limit = conf.get("BACKLOG_LIMIT") // segments.RECORDS_PER_SEGMENT
        if ticket - head > limit:
            raise JournalUnavailable(f"the backlog is over its limit of {limit} segments")
        return segment

    def _look_for_loss(self, previous: int, ticket: int, loss: str) -> None:
        # Caller holds the lock. Several threads may draw the first ticket concurrently; that is not
        # a jump.
        is_next = not previous or 0 < ticket - previous <= segments.JUMP
        if is_next and loss in ("", self._last_loss):
            return
        self._last_loss = loss
        self._loss_count += 1
        self.open_segments.clear()
        self._has_to_repair = bool(self.held)

    def _keep(self, segment: OpenSegment, text: str, started: float) -> bool:
        """Hold a record that the cache has taken; False when it may be where no flush looks."""
        with self._lock:
            if segment.loss_count != self._loss_count or now() - started >= LATE_SECONDS:
                return False
            self.held.append((segment.number, text))
            self.held_bytes += len(text)
            while self.held_bytes > HELD_BYTES:
                self.held_bytes -= len(self.held.popleft()[1])
        segment.record_count += 1
        if segment.record_count < segments.RECORDS_PER_SEGMENT:
            self.open_segments.append(segment)
        return True

    def _let_go(self, head: int) -> None:
        # Caller holds the lock.
        while self.held and self.held[0][0] <= head:
            self.held_bytes -= len(self.held.popleft()[1])

    def _journal_again(self) -> None:
        with self._lock:
            lost, self.held, self.held_bytes = self.held, deque(), 0
            self._has_to_repair = False
        log.warning("geo_journal_repaired", journaled_again=len(lost))
        try:
            while lost:
                self.append(lost[0][1])
                lost.popleft()
        finally:
            if lost:
                with self._lock:
                    self.held.extendleft(reversed(lost))
                    self.held_bytes += sum(len(text) for _, text in lost)
                    self._has_to_repair = True


process_writer: Final = Writer()


def now() -> float:
    """Return seconds on a monotonic clock that includes suspend time."""
    return time.clock_gettime(_CLOCK) if _CLOCK is not None else time.monotonic()


_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", None)
