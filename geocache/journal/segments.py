"""The journal: dirty answers in the Django cache until a flush has written them to the table.

Sealed segments over ``add`` and ``incr``, the only atomic operations of Django's cache API. Keys
begin with the id of the database, so that sites which share a cache have a journal each:

    t           ticket counter; a ticket is the number of a segment that one writer then owns
    f           number of the last flush, raised before it reads anything
    r:<n>:<i>   record i of segment n: the text of up to 200 answers, or a note, or SEAL
    o:<n>       the writer that owns segment n, for an hour
    h           a copy of the head, for writers; the true one is ``JournalHead`` in the database
    w           a copy of how many answers were written in all
    n           how many answers wait: exact after a flush, and nearly so in between
    loss        set to a new text when a flusher finds something missing, for writers
    u           how many answers neither cache nor database took, for people to see
    id          of this journal, by which a flush knows a cache again
    lock        held by a flusher to save work; safety never rests on it

A record is created only by ``add``, or by ``backends.append``, which adds a record and its hot
entry or neither, so nothing is ever overwritten.

A writer reads ``f``, then takes a ticket; a flusher reads ``t``, then raises ``f``, then reads the
segments. After each record the writer reads ``f`` again. As long as it is the same, no flush has
begun that could pass this segment, and the next one finds the record. Otherwise the record is taken
back and added to a new segment. No clock and no expiry has a part in this.

A flusher also puts a SEAL after the last record of a segment, by ``add``: so it learns the end of
a segment, or a gap in it, from the server that takes the writes, and not from a replica.

A cache may still lose what it was given. Each writer holds its records until they are flushed, and
journals them again when tickets or ``f`` jump, a flusher tells of a loss, or a flush has passed
their segment at another end or with another owner: a cache that is restored to an earlier state
gives out the same tickets again.
"""

import pickle
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import Any, Final

from django.core.cache import BaseCache

from geocache import conf
from geocache.cache import backends
from geocache.cache.guard import Guarded, guarded, guarded_selected
from geocache.exceptions import CacheUnavailable, JournalUnavailable
from geocache.models.connection import database_id

RECORDS_PER_SEGMENT: Final = 64
# Only so that seals and owners do not add up: after an hour no writer is left that needs them.
SEAL_SECONDS: Final = 3600
READ_ATTEMPTS: Final = 4
# A counter is seeded with the quarters of a second since 2025, each of them so many tickets apart:
# until 2090 below 2**53, beyond which Lua, and so the ``incr`` of django-redis, is not exact.
SEED_STEP: Final = 2**20
SEEDS_PER_SECOND: Final = 4
SEED_EPOCH: Final = 1_735_689_600
# Two tickets further apart than this are not of one counter: it was lost and seeded again.
JUMP: Final = SEED_STEP // 2
# So many segments may wait: well below the distance that counts as a loss.
MAX_WAITING: Final = JUMP // 2
# The number of the first flush is chosen at random below this, so that a lost one is not given
# twice, and goes up by one with each.
FLUSH_SEEDS: Final = 2**50
MAX_FLUSHES: Final = 2**20
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
SEAL: Final = "SEAL"


class Name(StrEnum):
    """What the keys that a journal has once are named."""

    TICKET = "t"
    FLUSH = "f"
    HEAD = "h"
    WRITTEN = "w"
    PENDING = "n"
    LOSS = "loss"
    UNRECORDED = "u"
    ID = "id"
    LOCK = "lock"


def key(name: Name) -> str:
    """Return the cache key of what this journal has once."""
    return f"{database_id()}:{name}"


def journal_name() -> str:
    """Return the name under which the database keeps the head of this journal."""
    return f"{backends.selected_alias()}:{database_id()}"


def base_of(ticket: int) -> int:
    """Return the value with which the counter that gave ``ticket`` was seeded, or one below it."""
    return ticket // SEED_STEP * SEED_STEP


def is_one_numbering(head: int, ticket: int) -> bool:
    """Tell whether ``ticket`` continues what is flushed up to ``head``, or its counter was lost."""
    return 0 <= ticket - head <= JUMP


def open_journal() -> AbstractContextManager[BaseCache]:
    """Give the cache of the journal that is at hand, which ``backends.using`` selects.

    Raises ``JournalUnavailable`` when it is away, or cannot hold a journal.
    """
    return _open(guarded_selected(), backends.selected_alias())


def open_own_journal() -> AbstractContextManager[BaseCache]:
    """Give the cache that this process journals in, whatever journal is at hand."""
    return _open(guarded(fails_fast=False), conf.get("CACHE_ALIAS"))


@contextmanager
def _open(guard: Guarded, alias: str) -> Iterator[BaseCache]:
    try:
        with guard as backend:
            if problem := backends.journal_problem(backend, alias):
                name = f"{type(backend).__name__} cannot hold the journal (geocache.E001)"
                raise JournalUnavailable(f"{name}: {problem}")
            yield backend
    except CacheUnavailable as error:
        raise JournalUnavailable(f"the cache cannot be reached: {error}") from error


def next_ticket(backend: BaseCache, floor: int) -> int:
    """Return a new ticket; a counter that is missing begins at ``floor`` or at the time."""
    ticket = backends.raised(backend, key(Name.TICKET), 1)
    if ticket is None:
        ticket = raised(backend, Name.TICKET, 1, max(floor, _seed(backend)))
    return ticket


def _seed(backend: BaseCache) -> int:
    # Not earlier than 2025, whatever the clock: the head of a new journal is 0.
    seconds = max(time.time_ns() / 1e9 - SEED_EPOCH, 1)
    # Nor in the numbering that is flushed, also when the clock went back, or the counter was seeded
    # a moment ago.
    head = number_of(read(backend, [key(Name.HEAD)]), Name.HEAD)
    above = base_of(head) + SEED_STEP if head else 0
    return max(int(seconds * SEEDS_PER_SECOND) * SEED_STEP, above)


def flush_number(backend: BaseCache, step: int = 0) -> int:
    """Return the number of the last flush, after raising it by ``step``."""
    return raised(backend, Name.FLUSH, step, secrets.randbelow(FLUSH_SEEDS))


def raised(backend: BaseCache, name: Name, step: int, seed: int) -> int:
    """Return a counter after a step; one that is missing, as it is new or lost, begins at seed."""
    number = backends.raised(backend, key(name), step)
    if number is None:
        backend.add(key(name), seed, timeout=None)
        number = backends.incr(backend, key(name), step)
    return number


def count_pending(backend: BaseCache, step: int) -> None:
    """Change the number of answers that wait."""
    raised(backend, Name.PENDING, step, 0)


def is_later_flush(earlier: int, later: int) -> bool:
    """Tell whether two numbers of flushes are of one counter, which was not lost in between."""
    return 0 <= later - earlier <= MAX_FLUSHES


def number_of(found: dict[str, Any], name: Name) -> int | None:
    """Return a counter of those that were read, None when it is missing or no number."""
    value = found.get(key(name))
    return value if isinstance(value, int) else None


def head_for(ticket: int, head: object) -> int:
    """Return ``head``, or where the numbering of ``ticket`` begins when head is not of it."""
    if isinstance(head, int) and is_one_numbering(head, ticket):
        return head
    return base_of(ticket)


def record_key(number: int, index: int) -> str:
    """Return the cache key of one record."""
    return f"{database_id()}:r:{number}:{index}"


def record_keys(number: int) -> list[str]:
    """Return the cache keys of all records of a segment."""
    beginning = f"{database_id()}:r:{number}:"
    return [f"{beginning}{index}" for index in range(RECORDS_PER_SEGMENT)]


def owner_key(number: int) -> str:
    """Return the cache key of the writer that owns a segment."""
    return f"{database_id()}:o:{number}"


def end_of(present: dict[str, str], keys: Sequence[str]) -> int:
    """Return the index behind the last record; seals do not count."""
    used = (i for i, key in enumerate(keys) if present.get(key, SEAL) != SEAL)
    return max(used, default=-1) + 1


def read(backend: BaseCache, keys: Sequence[str]) -> dict[str, str]:
    """Return the values there are, by key."""
    try:
        found = backends.get_many(backend, keys)
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
