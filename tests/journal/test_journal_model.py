"""A model of the journal: any order of appends, flushes, crashes and losses of the counter.

What was acknowledged is stored or still in the journal, and the newest answer wins. Where the cache
itself loses records, writers that live repair them. Writers stand for processes. A crash comes
before any one call to the cache or to the database, and ends the process: what it knew is gone.
``GEOCACHE_MODEL_EXAMPLES`` asks for more examples than CI runs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import BaseCache
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from geocache.cache import backends
from geocache.exceptions import JournalUnavailable
from geocache.journal import reader, segments
from geocache.journal import writer as journal_writer
from geocache.journal.flush import flush_dirty
from geocache.location import dump_locations, load_locations
from geocache.models import FlushRun, GeoCache, JournalHead, RejectedEntry
from tests.factories import NOON, a_location

EXAMPLES = int(os.environ.get("GEOCACHE_MODEL_EXAMPLES", "40"))
WRITERS = 3
ADDRESSES = [f"20.0.0.{number}" for number in range(6)]
# More calls than an append or a flush makes: with these there is no crash.
CALLS = st.integers(min_value=0, max_value=70)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the app catches it."""


class Calls:
    """Counts calls to cache and database, and kills before one of them."""

    def __init__(self) -> None:
        self.left: int | None = None

    def count(self) -> None:
        if self.left is None:
            return
        if not self.left:
            raise Killed
        self.left -= 1

    def query(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.count()
        return execute(sql, params, many, context)

    @contextmanager
    def killed_after(self, left: int) -> Iterator[None]:
        self.left = left
        try:
            with connection.execute_wrapper(self.query):
                yield
        finally:
            self.left = None


class Memory(BaseCache):
    """A cache whose clock the model sets, and that counts each call."""

    def __init__(self, calls: Calls) -> None:
        super().__init__({})
        self.calls = calls
        self.now = 0.0
        self.values: dict[str, tuple[Any, float]] = {}

    def get(self, key: str, default: Any = None, **_: Any) -> Any:
        return self.get_many([key]).get(key, default)

    def get_many(self, keys: Any, **_: Any) -> dict[str, Any]:
        self.calls.count()
        return {key: self.values[key][0] for key in keys if self._has(key)}

    def add(self, key: str, value: Any, timeout: Any = None, **_: Any) -> bool:
        self.calls.count()
        if self._has(key):
            return False
        self._put(key, value, timeout)
        return True

    def set(self, key: str, value: Any, timeout: Any = None, **_: Any) -> None:
        self.calls.count()
        self._put(key, value, timeout)

    def incr(self, key: str, delta: int = 1, **_: Any) -> int:
        self.calls.count()
        if not self._has(key):
            raise ValueError(key)
        value, until = self.values[key]
        self.values[key] = value + delta, until
        return int(value + delta)

    def delete(self, key: str, **_: Any) -> bool:
        self.calls.count()
        return self.values.pop(key, None) is not None

    def _has(self, key: str) -> bool:
        return key in self.values and self.values[key][1] > self.now

    def _put(self, key: str, value: Any, timeout: float | None) -> None:
        self.values[key] = value, float("inf") if timeout is None else self.now + timeout


class JournalModel(RuleBasedStateMachine):
    """Three processes on one journal."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = Calls()
        self.cache = Memory(self.calls)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(backends, "current", lambda: self.cache)
        self.patch.setattr(journal_writer.time, "monotonic", lambda: self.cache.now)
        self.patch.setattr(segments.time, "time_ns", self._time_ns)
        self.patch.setattr(segments, "RECORDS_PER_SEGMENT", 4)
        self.patch.setattr(reader, "EMPTY_SEGMENTS", 8)
        self.writers = [journal_writer.Writer() for _ in range(WRITERS)]
        self.newest: dict[str, int] = {}
        self.appended_count = 0
        self.has_counter_been_lost = False

    def teardown(self) -> None:
        try:
            self._flush_to_the_end()
            assert self._lost(self._stored()) == {}
            assert not RejectedEntry.objects.exists()
        finally:
            self.patch.undo()
            for model in (GeoCache, FlushRun, JournalHead, RejectedEntry):
                model.objects.all().delete()

    @initialize()
    def first_flush(self) -> None:
        """The head is known from the first flush on."""
        flush_dirty()

    @rule(number=st.integers(0, WRITERS - 1), address=st.sampled_from(ADDRESSES), left=CALLS)
    def append(self, number: int, address: str, left: int) -> None:
        self.appended_count += 1
        resolved_at = NOON + timedelta(seconds=self.appended_count)
        text = dump_locations([a_location(address, resolved_at=resolved_at)])
        try:
            with self.calls.killed_after(left):
                self.writers[number].append(text)
        except Killed:
            self.writers[number] = journal_writer.Writer()
        except JournalUnavailable:
            # Not acknowledged: the caller writes through.
            return
        else:
            self.newest[address] = self.appended_count

    @rule(number=st.integers(0, WRITERS - 1))
    def dies(self, number: int) -> None:
        self.writers[number] = journal_writer.Writer()

    @rule(left=CALLS)
    def flush(self, left: int) -> None:
        try:
            with self.calls.killed_after(left):
                flush_dirty()
        except Killed:
            # It held the lock, which runs out; nobody waits for it here.
            self.cache.values.pop(segments.key(segments.Name.LOCK), None)
        else:
            self.has_counter_been_lost = False

    @rule(seconds=st.sampled_from([1, 29, 31, 61, 3601]))
    def time_passes(self, seconds: int) -> None:
        """Segments grow too old to be used, and seals run out."""
        self.cache.now += seconds

    @rule()
    def clock_of_the_cache_is_set_ahead(self) -> None:
        """All that has a time to live is gone, and for nobody has any time passed."""
        for key, (_, until) in list(self.cache.values.items()):
            if until < float("inf"):
                del self.cache.values[key]

    @precondition(lambda self: not self.has_counter_been_lost)
    @rule()
    def counter_is_lost(self) -> None:
        """Once between two flushes: of two lost numberings the flusher could not know the first."""
        self.cache.values.pop(segments.key(segments.Name.TICKET), None)
        self.has_counter_been_lost = True

    @rule()
    def copy_of_the_head_is_lost(self) -> None:
        self.cache.values.pop(segments.key(segments.Name.HEAD), None)

    @invariant()
    def acknowledged_is_stored_or_in_the_journal(self) -> None:
        known = self._stored()
        for address, second in self._journaled():
            known[address] = max(second, known.get(address, 0))
        assert self._lost(known) == {}

    def _time_ns(self) -> int:
        # Every seed is another one, as it is with a clock that goes on.
        self.cache.now += 0.25
        return int((1_800_000_000 + self.cache.now) * 1e9)

    def held(self) -> Iterator[tuple[str, int]]:
        for writer in self.writers:
            for record in writer.held:
                yield from _seconds(record.text)

    def _flush_to_the_end(self) -> None:
        for _ in range(3):
            flush_dirty()

    def _stored(self) -> dict[str, int]:
        rows = GeoCache.objects.values_list("address", "resolved_at")
        return {address: round((at - NOON).total_seconds()) for address, at in rows}

    def _journaled(self) -> Iterator[tuple[str, int]]:
        for key, (value, _) in self.cache.values.items():
            if ":r:" in key and value != segments.SEAL:
                yield from _seconds(value)

    def _lost(self, known: dict[str, int]) -> dict[str, int]:
        return {one: at for one, at in self.newest.items() if known.get(one, 0) < at}


class ForgetfulCacheModel(JournalModel):
    """The same on a cache that loses records or all of its memory, with writers that repair them.

    What only the dead have held is not asked for.
    """

    @rule()
    def memory_is_lost(self) -> None:
        self.cache.values.clear()

    @rule(data=st.data())
    def record_is_lost(self, data: st.DataObject) -> None:
        """One with another behind it: without that there is no gap to be seen."""
        keys = [key for key in self.cache.values if self._is_followed(key)]
        if keys:
            del self.cache.values[data.draw(st.sampled_from(sorted(keys)))]

    @rule(number=st.integers(0, WRITERS - 1))
    def dies(self, number: int) -> None:
        super().dies(number)
        self._expect_only_what_is_held()

    @rule(number=st.integers(0, WRITERS - 1), addresses=st.permutations(ADDRESSES))
    def append(self, number: int, addresses: list[str]) -> None:
        """Several, so that they are in one segment."""
        for address in addresses[:3]:
            super().append(number, address, left=1000)

    @invariant()
    def acknowledged_is_stored_or_in_the_journal(self) -> None:
        """Replaced: it may for a while be held by its writer alone."""
        known = self._stored()
        for address, second in self.held():
            known[address] = max(second, known.get(address, 0))
        assert self._lost(known) == {}

    def _flush_to_the_end(self) -> None:
        flush_dirty()
        # Writers hear of a loss when they need a new segment.
        for writer in self.writers:
            writer.open_segments.clear()
            writer.append(dump_locations([a_location("30.0.0.1")]))
        super()._flush_to_the_end()

    def _is_followed(self, key: str) -> bool:
        value = self.cache.values[key][0]
        if ":r:" not in key or value == segments.SEAL:
            return False
        segment, index = map(int, key.split(":")[2:])
        next_key = segments.record_key(segment, index + 1)
        behind = self.cache.values.get(next_key, (segments.SEAL, 0))[0]
        return bool(behind != segments.SEAL)

    def _expect_only_what_is_held(self) -> None:
        known = self._stored()
        for address, second in self.held():
            known[address] = max(second, known.get(address, 0))
        self.newest = {one: min(at, known.get(one, 0)) for one, at in self.newest.items()}


def _seconds(text: str) -> Iterator[tuple[str, int]]:
    """Give the addresses of a record, each with when it was resolved, in seconds of the model."""
    for location in load_locations(text):
        yield location.address, round((location.resolved_at - NOON).total_seconds())


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("model", [JournalModel, ForgetfulCacheModel])
def test_journal__what_was_acknowledged_is_stored_or_still_known(
    model: type[JournalModel],
) -> None:
    run_state_machine_as_test(
        model,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
