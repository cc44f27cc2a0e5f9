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

import pickle
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from django.core.cache import BaseCache

from geocache.cache import backends
from geocache.cache.guard import guarded
from geocache.exceptions import CacheUnavailable, JournalUnavailable

RECORDS_PER_SEGMENT: Final = 64
SEAL_SECONDS: Final = 3600
READ_ATTEMPTS: Final = 4
# A counter is seeded with the time in milliseconds, each of them so many tickets apart.
SEED_STEP: Final = 2**20
# Two tickets further apart than this are not of one counter: it was lost and seeded again.
JUMP: Final = SEED_STEP // 2
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
SEAL: Final = "SEAL"


def base_of(ticket: int) -> int:
    """Return the value with which the counter that gave ``ticket`` was seeded, or one below it."""
    return ticket // SEED_STEP * SEED_STEP


def is_one_numbering(head: int, ticket: int) -> bool:
    """Tell whether ``ticket`` continues what is flushed up to ``head``, or its counter was lost."""
    return 0 <= ticket - head <= JUMP


@contextmanager
def open_journal() -> Iterator[BaseCache]:
    """Give the cache; raise ``JournalUnavailable`` when it is away, or cannot hold a journal."""
    try:
        with guarded(fails_fast=False) as backend:
            if not backends.can_hold_journal(backend):
                name = type(backend).__name__
                raise JournalUnavailable(f"{name} cannot hold the journal; see geocache.E001")
            yield backend
    except CacheUnavailable as error:
        raise JournalUnavailable(f"the cache cannot be reached: {error}") from error


def next_ticket(backend: BaseCache, floor: int) -> int:
    """Return a new ticket; a counter that is missing begins at ``floor`` or at the time."""
    try:
        return backend.incr(TICKET_KEY)
    except ValueError:
        # No counter: new, or the cache has lost its memory. Milliseconds, so that a counter that
        # is lost twice in a second does not give out the same tickets again.
        seed = max(time.time_ns() // 1_000_000 * SEED_STEP, floor)
        backend.add(TICKET_KEY, seed, timeout=None)
        return backend.incr(TICKET_KEY)


def head_for(ticket: int, head: object) -> int:
    """Return ``head``, or where the numbering of ``ticket`` begins when head is not of it."""
    if isinstance(head, int) and is_one_numbering(head, ticket):
        return head
    return base_of(ticket)


def record_key(number: int, index: int) -> str:
    """Return the cache key of one record."""
    return f"r:{number}:{index}"


def record_keys(number: int) -> list[str]:
    """Return the cache keys of all records of a segment."""
    return [record_key(number, index) for index in range(RECORDS_PER_SEGMENT)]


def end_of(present: dict[str, str], keys: Sequence[str]) -> int:
    """Return the index behind the last record; seals do not count."""
    used = (i for i, key in enumerate(keys) if present.get(key, SEAL) != SEAL)
    return max(used, default=-1) + 1


def read(backend: BaseCache, keys: Sequence[str]) -> dict[str, str]:
    """Return the values there are, by key."""
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


def settle(backend: BaseCache, key: str, present: dict[str, str]) -> str:
    """Return what stands at ``key`` for good, and note it in ``present``: a record, or the seal."""
    for _ in range(READ_ATTEMPTS):
        if key not in present and backend.add(key, SEAL, timeout=SEAL_SECONDS):
            present[key] = SEAL
        # Not added, so it is there; but a replica or a locked store may not show it yet.
        present |= read(backend, [key]) if key not in present else {}
        if key in present:
            return present[key]
        time.sleep(0.05)
    raise JournalUnavailable("the cache does not show a record that it holds")
