"""The journal: dirty answers in the Django cache until a flush has written them to the table.

Sealed segments over ``add`` and ``incr``, the only atomic operations of Django's cache API:

    t           ticket counter; a ticket is the number of a segment that one writer then owns
    r:<n>:<i>   record i of segment n: the text of up to 200 answers, or a note, or SEAL
    h           a copy of the head, for writers; the true one is ``JournalHead`` in the database
    loss        set to a new text when a flusher finds something missing, for writers
    u           how many answers neither cache nor database took, for people to see
    lock        held by a flusher to save work; safety never rests on it

A record is created only by ``add``, or by ``caches.add_both``, which adds a record and its hot
entry or neither, so nothing is ever overwritten. A flusher passes a segment only after its SEAL
stands behind the last record, so nothing can land behind it: a writer whose ``add`` is refused
takes a new ticket. Clocks matter only in their rate, 60 s against the seal's 3600 s.

A cache may still lose what it was given. Each writer holds its records until they are flushed, and
journals them again when its tickets jump or a flusher tells of a loss.
"""

import json
import os
import pickle
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog
from django.core.cache import BaseCache

from geocache import conf
from geocache.cache import backends
from geocache.cache.backends import Entry
from geocache.exceptions import JournalUnavailable, UndecodableRecord
from geocache.locations import Location, count_locations, dump_locations, load_locations

log = structlog.get_logger(__name__)

RECORDS_PER_SEGMENT: Final = 64
ANSWERS_PER_RECORD: Final = 200
SEGMENT_SECONDS: Final = 30.0
# An ``add`` that took longer may have landed behind a seal that has expired: it is not trusted.
LATE_SECONDS: Final = 60.0
SEAL_SECONDS: Final = 3600
# A new segment may be sealed before its first record is there, when flushers follow one another.
APPEND_ATTEMPTS: Final = 16
READ_ATTEMPTS: Final = 4
# A counter is seeded with the time in milliseconds, each of them so many tickets apart.
SEED_STEP: Final = 2**20
# Two tickets further apart than this are not of one counter: it was lost and seeded anew.
JUMP: Final = SEED_STEP // 2
# Texts that a writer holds until they are flushed, to repair what the cache loses; in bytes.
HELD_BYTES: Final = 8 * 2**20
# Segments that ``backlog`` reads before it estimates the rest.
BACKLOG_SEGMENTS: Final = 64
# Segments in a row without any key after which a lost numbering counts as read to its end.
EMPTY_SEGMENTS: Final = 64

# What a cache's own decoding raises on a value that is not this app's.
UNDECODABLE: Final = (
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,
    EOFError,
    ImportError,
    AttributeError,
    pickle.PickleError,
)

TICKET_KEY: Final = "t"
HEAD_KEY: Final = "h"
LOSS_KEY: Final = "loss"
LOCK_KEY: Final = "lock"
UNRECORDED_KEY: Final = "u"
SEAL: Final = "SEAL"


def append(locations: Sequence[Location], entry: Entry | None = None) -> bool:
    """Journal answers, 200 a record; when this returns they will not be lost.

    Return whether ``entry``, the hot entry of the first one, was set together with it. Raises
    ``JournalUnavailable``; some of the answers may then be in the journal all the same, which does
    no harm.
    """
    is_set = False
    for start in range(0, len(locations), ANSWERS_PER_RECORD):
        text = dump_locations(locations[start : start + ANSWERS_PER_RECORD])
        is_set |= _writer.append(text, None if start else entry)
    return is_set


def append_text(text: str) -> None:
    """Journal a record of another kind than answers; raise ``JournalUnavailable``."""
    _writer.append(text)


# --- writing ---------------------------------------------------------------------------------


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
        self._reset()

    def append(self, text: str, entry: Entry | None = None) -> bool:
        """Add one record to a segment of this process; raise ``JournalUnavailable``.

        Return whether ``entry`` was set with it: nobody sees it before the record is there.
        """
        if self._process_id != os.getpid():
            # A fork: the parent goes on with these segments, the child must not.
            self._reset()
        with _journal() as backend:
            for _ in range(APPEND_ATTEMPTS):
                # Before the segment's age is looked at: a pause between the two must count.
                started = _now()
                segment = self._free_segment(started) or self._new_segment(backend, started)
                record = _record_key(segment.number, segment.record_count)
                is_set = entry is not None and backends.add_both(backend, record, text, entry)
                is_added = is_set or backend.add(record, text, timeout=None)
                if is_added and self._keep(segment, text, started):
                    return is_set
                # Sealed by a flusher, late, or of a lost numbering: the segment is given up.
        raise JournalUnavailable(f"no segment took the record in {APPEND_ATTEMPTS} attempts")

    def _reset(self) -> None:
        self._free: list[OpenSegment] = []
        self._last_ticket = 0
        self._last_loss = ""
        self._loss_count = 0
        self._has_to_repair = False
        self._held: deque[tuple[int, str]] = deque()
        self._held_bytes = 0
        self._lock = threading.Lock()
        # Last: until then another thread of a new child resets, too.
        self._process_id = os.getpid()

    def _free_segment(self, now: float) -> OpenSegment | None:
        while True:
            try:
                segment = self._free.pop()
            except IndexError:
                return None
            if now - segment.opened_at < SEGMENT_SECONDS:
                return segment

    def _new_segment(self, backend: BaseCache, now: float) -> OpenSegment:
        # Before the ticket is taken: another thread's is then never mistaken for a step back.
        previous = self._last_ticket
        ticket = _next_ticket(backend, base_of(previous) + SEED_STEP if previous else 0)
        known = _read(backend, [HEAD_KEY, LOSS_KEY])
        head = _head_for(ticket, known.get(HEAD_KEY))
        with self._lock:
            self._last_ticket = ticket
            self._look_for_loss(previous, ticket, known.get(LOSS_KEY, ""))
            if not self._has_to_repair:
                self._let_go(head)
            segment = OpenSegment(ticket, now, self._loss_count)
        if self._has_to_repair:
            self._journal_again()
        limit = conf.get("BACKLOG_LIMIT") // RECORDS_PER_SEGMENT
        if ticket - head > limit:
            raise JournalUnavailable(f"the backlog is over its limit of {limit} segments")
        return segment

    def _look_for_loss(self, previous: int, ticket: int, loss: str) -> None:
        # The lock is taken. The first ticket, which several threads may take at once, is no jump.
        is_next = not previous or 0 < ticket - previous <= JUMP
        if is_next and loss in ("", self._last_loss):
            return
        self._last_loss = loss
        self._loss_count += 1
        self._free.clear()
        self._has_to_repair = bool(self._held)

    def _keep(self, segment: OpenSegment, text: str, started: float) -> bool:
        """Hold a record that the cache has taken; False when it may be where no flush looks."""
        with self._lock:
            if segment.loss_count != self._loss_count or _now() - started >= LATE_SECONDS:
                return False
            self._held.append((segment.number, text))
            self._held_bytes += len(text)
            while self._held_bytes > HELD_BYTES:
                self._held_bytes -= len(self._held.popleft()[1])
        segment.record_count += 1
        if segment.record_count < RECORDS_PER_SEGMENT:
            self._free.append(segment)
        return True

    def _let_go(self, head: int) -> None:
        # The lock is taken.
        while self._held and self._held[0][0] <= head:
            self._held_bytes -= len(self._held.popleft()[1])

    def _journal_again(self) -> None:
        with self._lock:
            lost, self._held, self._held_bytes = self._held, deque(), 0
            self._has_to_repair = False
        log.warning("geo_journal_repaired", journaled_again=len(lost))
        try:
            while lost:
                self.append(lost[0][1])
                lost.popleft()
        finally:
            if lost:
                with self._lock:
                    self._held.extendleft(reversed(lost))
                    self._held_bytes += sum(len(text) for _, text in lost)
                    self._has_to_repair = True


_writer: Final = Writer()


# --- reading, for the flush --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClosedSegment:
    """A segment that nobody can append to any more: its record texts by cache key."""

    number: int
    records: dict[str, str] = field(default_factory=dict)
    lost_count: int = 0
    is_untouched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits to be flushed; an estimate when it is long."""

    answer_count: int = 0
    oldest_at: datetime | None = None
    is_exact: bool = True

    def waited_seconds(self, at: datetime) -> float:
        """Return how long the oldest answer has waited at ``at``; 0 when there is none."""
        return 0.0 if self.oldest_at is None else max((at - self.oldest_at).total_seconds(), 0.0)


def last_ticket() -> int:
    """Return the newest ticket, after seeding the counter where there is none."""
    with _journal() as backend:
        ticket = backend.get(TICKET_KEY)
        if isinstance(ticket, int):
            return ticket
        return _next_ticket(backend, 0)


def base_of(ticket: int) -> int:
    """Return the value with which the counter that gave ``ticket`` was seeded, or one below it."""
    return ticket // SEED_STEP * SEED_STEP


def is_one_numbering(head: int, ticket: int) -> bool:
    """Tell whether ``ticket`` continues what is flushed up to ``head``, or its counter was lost."""
    return 0 <= ticket - head <= JUMP


def skip_past(head: int) -> tuple[int, int]:
    """Raise a counter that went back over ``head``: return its values before and after."""
    with _journal() as backend:
        step = max(head - last_ticket(), 0) + 2 * JUMP
        ticket = backend.incr(TICKET_KEY, step)
        return ticket - step, ticket


def close_segment(number: int) -> ClosedSegment:
    """Seal segment ``number`` and return all its records."""
    keys = _record_keys(number)
    with _journal() as backend:
        present = _read(backend, keys)
        is_untouched = not present
        # A writer may be faster than the seal, again and again, until the segment is full.
        for _ in range(RECORDS_PER_SEGMENT + READ_ATTEMPTS):
            end = _end(present, keys)
            if end == RECORDS_PER_SEGMENT or _settle(backend, keys[end], present) == SEAL:
                break
            present |= _read(backend, keys[end:])
        # A gap counts as lost only when the seal wins there too: a miss alone proves nothing.
        settled = {key: _settle(backend, key, present) for key in keys[:end]}
    records = {key: text for key, text in settled.items() if text != SEAL}
    return ClosedSegment(number, records, end - len(records), is_untouched and not records)


def forget(keys: Iterable[str]) -> None:
    """Delete records that are in the table now."""
    with _journal() as backend:
        if listed := list(keys):
            backend.delete_many(listed)


def forget_segments(first: int, last: int) -> None:
    """Delete what segments ``first`` to ``last`` still hold, but never a seal."""
    for number in range(first, last + 1):
        with _journal() as backend:
            present = _read(backend, _record_keys(number))
        forget(key for key, value in present.items() if value != SEAL)


def publish_head(head: int) -> None:
    """Let writers know how far the journal is flushed."""
    with _journal() as backend:
        backend.set(HEAD_KEY, head, timeout=None)


def tell_loss() -> None:
    """Have writers journal again what they hold: the cache has lost some of it."""
    with _journal() as backend:
        backend.set(LOSS_KEY, uuid.uuid4().hex, timeout=None)


def count_unrecorded(count: int) -> None:
    """Add to the number of answers that neither cache nor database took, and that are lost."""
    with _journal() as backend:
        backend.add(UNRECORDED_KEY, 0, timeout=None)
        backend.incr(UNRECORDED_KEY, count)


def unrecorded() -> int:
    """Return how many answers were lost because neither cache nor database took them."""
    with _journal() as backend:
        counted = backend.get(UNRECORDED_KEY)
    return counted if isinstance(counted, int) else 0


@contextmanager
def lock(timeout_seconds: float, wait_seconds: float = 5.0) -> Iterator[bool]:
    """Hold the flushers' lock, or go on without it (False) when another keeps it for too long."""
    token = uuid.uuid4().hex + "-"
    waited_until = time.monotonic() + wait_seconds
    with _journal() as backend:
        while not (is_held := backend.add(LOCK_KEY, token, timeout=max(1, int(timeout_seconds)))):
            if time.monotonic() > waited_until:
                break
            time.sleep(0.1)
    try:
        yield is_held
    finally:
        with _journal() as backend:
            if backend.get(LOCK_KEY) == token:
                backend.delete(LOCK_KEY)


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
    with _journal() as backend:
        last = backend.get(TICKET_KEY)
    if not isinstance(last, int):
        # Nothing was ever journaled; or the counter is lost, and the next flush seeds it anew.
        return [], 0
    first = _head_for(last, head) + 1
    numbers = range(first, min(last + 1, first + BACKLOG_SEGMENTS))
    keys = [key for number in numbers for key in _record_keys(number)]
    with _journal() as backend:
        present = _read(backend, keys) if keys else {}
    texts = [present[key] for key in keys if present.get(key, SEAL) != SEAL]
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


# --- the cache ---------------------------------------------------------------------------------


@contextmanager
def _journal() -> Iterator[BaseCache]:
    """Give the cache, and turn each cache library's own errors into one."""
    try:
        backend = backends.current()
        if not backends.can_hold_journal(backend):
            name = type(backend).__name__
            raise JournalUnavailable(f"{name} cannot hold the journal; see geocache.E001")
        yield backend
    except JournalUnavailable:
        raise
    except Exception as error:
        raise JournalUnavailable(f"the cache cannot be reached: {error}") from error


def _next_ticket(backend: BaseCache, floor: int) -> int:
    try:
        return backend.incr(TICKET_KEY)
    except ValueError:
        # No counter: new, or the cache has lost its memory. Milliseconds, so that a counter that
        # is lost twice in a second does not give out the same tickets again.
        seed = max(time.time_ns() // 1_000_000 * SEED_STEP, floor)
        backend.add(TICKET_KEY, seed, timeout=None)
        return backend.incr(TICKET_KEY)


def _head_for(ticket: int, head: object) -> int:
    """Return ``head``, or where the numbering of ``ticket`` begins when head is not of it."""
    if isinstance(head, int) and is_one_numbering(head, ticket):
        return head
    return base_of(ticket)


def _record_key(number: int, index: int) -> str:
    return f"r:{number}:{index}"


def _record_keys(number: int) -> list[str]:
    return [_record_key(number, index) for index in range(RECORDS_PER_SEGMENT)]


def _end(present: dict[str, str], keys: Sequence[str]) -> int:
    """Return the index behind the last record; seals do not count."""
    used = (i for i, key in enumerate(keys) if present.get(key, SEAL) != SEAL)
    return max(used, default=-1) + 1


def _read(backend: BaseCache, keys: Sequence[str]) -> dict[str, str]:
    try:
        found = backend.get_many(keys)
    except UNDECODABLE:
        # One value that cannot be decoded fails the whole of get_many: read them one by one.
        found = {key: _read_one(backend, key) for key in keys}
    return {key: value for key, value in found.items() if value is not None}


def _read_one(backend: BaseCache, key: str) -> str | None:
    try:
        value: str | None = backend.get(key)
    except UNDECODABLE as error:
        return f"undecodable: {error}"
    return value


def _settle(backend: BaseCache, key: str, present: dict[str, str]) -> str:
    """Return what stands at ``key`` for good, and note it in ``present``: a record, or the seal."""
    for _ in range(READ_ATTEMPTS):
        if key not in present and backend.add(key, SEAL, timeout=SEAL_SECONDS):
            present[key] = SEAL
        # Not added, so it is there; but a replica or a locked store may not show it yet.
        present |= _read(backend, [key]) if key not in present else {}
        if key in present:
            return present[key]
        time.sleep(0.05)
    raise JournalUnavailable("the cache does not show a record that it holds")


def _now() -> float:
    """Return seconds on a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(_CLOCK) if _CLOCK is not None else time.monotonic()


_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", None)
