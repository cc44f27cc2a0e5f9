"""Append to the journal."""

import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from django.core.cache import BaseCache

from geocache import conf
from geocache.cache import backends
from geocache.cache.backends import Appended, Entry
from geocache.exceptions import JournalUnavailable
from geocache.journal import segments
from geocache.journal.segments import Name
from geocache.location import Location, dump_locations
from geocache.log import get_logger

log = get_logger(__name__)

ANSWERS_PER_RECORD: Final = 200
# A writer hears of losses, and how far the journal is flushed, when it takes a new segment.
SEGMENT_SECONDS: Final = 30.0
# Back-to-back flushes may begin before the first record of a segment is written.
APPEND_ATTEMPTS: Final = 16
# What a writer reads before it takes a ticket.
KNOWN: Final = (Name.TICKET, Name.HEAD, Name.LOSS)
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
        some = locations[start : start + ANSWERS_PER_RECORD]
        text = dump_locations(some)
        is_set |= process_writer.append(text, None if start else entry, answer_count=len(some))
    return is_set


def append_text(text: str) -> None:
    """Journal a record of another kind than answers; raise ``JournalUnavailable``."""
    process_writer.append(text)


@dataclass(slots=True)
class OpenSegment:
    """A segment that this process owns, used by one thread at a time."""

    number: int
    opened_at: float
    # The last flush that had begun before this segment was there.
    flush_number: int
    # How many losses this process knew of: a segment from before the last one is not trusted.
    loss_count: int
    record_count: int = 0


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """A record that is not known to be in the table: the cache may still lose it."""

    segment_number: int
    index: int
    text: str
    answer_count: int
    held_at: float


class Writer:
    """What this process needs to append: segments not in use, and the texts not yet flushed."""

    process_id: int

    def __init__(self) -> None:
        self.reset()

    def append(self, text: str, entry: Entry | None = None, answer_count: int = 0) -> bool:
        """Add one record to a segment of this process; raise ``JournalUnavailable``.

        Return whether ``entry`` was set with it: nobody sees it before the record is there.
        """
        if self.process_id != os.getpid():
            # A fork: the parent goes on with these segments, the child must not.
            self.reset()
        with segments.open_own_journal() as backend:
            self._limit(backend, answer_count)
            untrusted: list[str] = []
            for _ in range(APPEND_ATTEMPTS):
                segment = self.free_segment() or self._new_segment(backend)
                key = segments.record_key(segment.number, segment.record_count)
                appended = backends.append(
                    backend,
                    (key, text),
                    entry,
                    flush_key=segments.key(Name.FLUSH),
                    pending=(segments.key(Name.PENDING), answer_count),
                )
                if not appended.is_added and entry is not None:
                    # On Redis also where another process has set the entry.
                    entry = None
                    self.open_segments.append(segment)
                    continue
                self.pending_count = appended.pending_count or 0
                if appended.is_added and self._keep(segment, appended, text, answer_count):
                    self._take_back(backend, untrusted, answer_count)
                    return appended.is_set
                # Sealed by a flusher, passed by one, or of a lost numbering: it is given up.
                if appended.is_added:
                    untrusted.append(key)
        raise JournalUnavailable(f"no segment took the record in {APPEND_ATTEMPTS} attempts")

    def reset(self) -> None:
        # Text also where all its digits are decimal: caches keep numbers as numbers.
        self._name = f"w{secrets.token_hex(8)}"
        self.open_segments: list[OpenSegment] = []
        self.last_ticket = 0
        self.pending_count = 0
        self._last_loss = ""
        self._last_flush = 0
        self._loss_count = 0
        self._has_to_repair = False
        self.held: deque[HeldRecord] = deque()
        self.held_bytes = 0
        self._lock = threading.Lock()
        # Last: until then another thread of a new child resets, too.
        self.process_id = os.getpid()

    def free_segment(self) -> OpenSegment | None:
        while self.open_segments:
            try:
                segment = self.open_segments.pop()
            except IndexError:
                # Another thread was faster.
                return None
            is_young = time.monotonic() - segment.opened_at < SEGMENT_SECONDS
            if is_young and segment.flush_number == self._last_flush:
                return segment
        return None

    def _limit(self, backend: BaseCache, answer_count: int) -> None:
        """Raise ``JournalUnavailable`` when more answers would wait than may."""
        limit = conf.get("BACKLOG_LIMIT")
        if self.pending_count + answer_count <= limit:
            return
        known = segments.read(backend, [segments.key(Name.PENDING)])
        self.pending_count = segments.number_of(known, Name.PENDING) or 0
        if self.pending_count + answer_count > limit:
            raise JournalUnavailable(f"the backlog is over its limit of {limit} answers")

    def _new_segment(self, backend: BaseCache) -> OpenSegment:
        # All before the ticket is taken. The number of the last flush: one that begins after this
        # is seen. Our own last numbers: those of another thread are never taken for a step back.
        previous, earlier = self.last_ticket, self._last_flush
        flush = segments.flush_number(backend)
        known = segments.read(backend, [segments.key(name) for name in KNOWN])
        self._limit_segments(known)
        ticket = segments.next_ticket(
            backend, segments.base_of(previous) + segments.SEED_STEP if previous else 0
        )
        backend.set(segments.owner_key(ticket), self._name, timeout=segments.SEAL_SECONDS)
        head = segments.head_for(ticket, segments.number_of(known, Name.HEAD))
        is_short = self._is_passed_short(backend, head)
        with self._lock:
            self.last_ticket = ticket
            loss = known.get(segments.key(Name.LOSS), "")
            is_next = not previous or 0 < ticket - previous <= segments.JUMP
            is_later = not earlier or segments.is_later_flush(earlier, flush)
            self._last_flush = max(self._last_flush, flush) if is_later else flush
            if not is_next or not is_later or is_short or loss not in ("", self._last_loss):
                self._note_loss(loss)
            if not self._has_to_repair:
                self._let_go(head)
            segment = OpenSegment(ticket, time.monotonic(), flush, self._loss_count)
        if self._has_to_repair:
            self._journal_again()
        return segment

    def _limit_segments(self, known: dict[str, str]) -> None:
        ticket = segments.number_of(known, Name.TICKET)
        head = segments.number_of(known, Name.HEAD)
        if ticket is None or head is None or not segments.is_one_numbering(head, ticket):
            return
        if ticket - head > segments.MAX_WAITING:
            raise JournalUnavailable(f"{ticket - head} segments of the journal wait for a flush")

    def _is_passed_short(self, backend: BaseCache, head: int) -> bool:
        """Tell whether a flush has passed segments of ours that lacked what we had added to them.

        So it is when the cache was restored to an earlier state. The seal tells: it stands where
        the flush saw the end, behind our last record or one that was taken back. Or another writer
        was given the number after that: its segment may end at the same record.
        """
        not_before = time.monotonic() - segments.SEAL_SECONDS / 2
        with self._lock:
            # As far as _let_go() goes: nearly always none.
            passed = list(takewhile(lambda one: one.segment_number <= head, self.held))
        ends = {one.segment_number: one.index + 1 for one in passed if one.held_at > not_before}
        if not ends:
            return False
        keys = {
            number: [segments.record_key(number, end), segments.record_key(number, end + 1)]
            for number, end in ends.items()
        }
        owners = [segments.owner_key(number) for number in ends]
        found = segments.read(backend, [*owners, *(key for pair in keys.values() for key in pair)])
        return any(found.get(owner, self._name) != self._name for owner in owners) or not all(
            any(found.get(key) == segments.SEAL for key in pair) for pair in keys.values()
        )

    def _note_loss(self, loss: str) -> None:
        # Caller holds the lock.
        self._last_loss = loss
        self._loss_count += 1
        self.open_segments.clear()
        self._has_to_repair = bool(self.held)

    def _keep(self, segment: OpenSegment, appended: Appended, text: str, answer_count: int) -> bool:
        """Hold a record that the cache has taken; False when it may be where no flush looks."""
        with self._lock:
            if (
                segment.loss_count != self._loss_count
                or segment.flush_number != appended.flush_number
            ):
                return False
            self.held.append(
                HeldRecord(
                    segment.number, segment.record_count, text, answer_count, time.monotonic()
                )
            )
            self.held_bytes += len(text)
            while self.held_bytes > HELD_BYTES:
                self.held_bytes -= len(self.held.popleft().text)
        segment.record_count += 1
        if segment.record_count < segments.RECORDS_PER_SEGMENT:
            self.open_segments.append(segment)
        return True

    def _take_back(self, backend: BaseCache, keys: list[str], answer_count: int) -> None:
        # No flush may come to look for them. Not before the answers stand elsewhere: others may
        # have the hot entry. Each was the last of its segment, and leaves no gap.
        if keys:
            backend.delete_many(keys)
            segments.count_pending(backend, -len(keys) * answer_count)

    def _let_go(self, head: int) -> None:
        # Caller holds the lock.
        while self.held and self.held[0].segment_number <= head:
            self.held_bytes -= len(self.held.popleft().text)

    def _journal_again(self) -> None:
        with self._lock:
            lost, self.held, self.held_bytes = self.held, deque(), 0
            self._has_to_repair = False
        log.warning("geo_journal_repaired", count=len(lost))
        try:
            while lost:
                self.append(lost[0].text, answer_count=lost[0].answer_count)
                lost.popleft()
        finally:
            if lost:
                with self._lock:
                    self.held.extendleft(reversed(lost))
                    self.held_bytes += sum(len(record.text) for record in lost)
                    self._has_to_repair = True


process_writer: Final = Writer()
