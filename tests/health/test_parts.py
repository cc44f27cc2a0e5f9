import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from geocache.health import parts
from geocache.health.parts import GroupReader, read_groups
from geocache.status import DATABASE, Outcome

pytestmark = pytest.mark.any_services


class Reading:
    """What a part has, which can be held up, and how often it was read."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = outcomes or (Outcome({"pending_count": 3}),)
        self.count = 0
        self.goes_on = threading.Event()
        self.goes_on.set()

    def __call__(self, _: str, at: datetime) -> Outcome:
        assert at.tzinfo is not None
        self.count += 1
        self.goes_on.wait(10)
        return self.outcomes[min(self.count, len(self.outcomes)) - 1]


@pytest.fixture(autouse=True)
def no_threads_of_other_tests() -> None:
    """Wait for the threads that an earlier test let go on: they are counted here."""
    for thread in threads():
        thread.join(10)


@pytest.fixture
def reading() -> Iterator[Reading]:
    made = Reading()
    yield made
    made.goes_on.set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that only the test moves, for what is shared and when it came."""
    now = {"at": 1000.0}
    monkeypatch.setattr(parts.time, "monotonic", lambda: now["at"])
    return now


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "geocache-health"]


def test_read__in_a_test_is_in_its_own_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "read_status", lambda **options: options)
    assert parts.read() == {"is_counting_rows": False}
    assert not threads()


@pytest.mark.django_db
def test_read__sees_the_transaction_of_a_test() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert parts.read().errors == {}
    assert queries.captured_queries


def test_read_groups__gives_what_was_read(reading: Reading) -> None:
    status = read_groups([GroupReader(["journal"], reading)], 5)
    assert (status.pending_count, status.errors) == (3, {})


def test_read_groups__an_error_is_that_of_its_part() -> None:
    def fail(*_: object) -> Outcome:
        raise ValueError("odd\nlines")

    status = read_groups([GroupReader(["journal"], fail)], 5)
    assert (dict(status.errors), status.silent_parts) == ({"journal": "odd"}, frozenset())


def test_read_groups__a_part_that_hangs_is_silent_and_no_other(reading: Reading) -> None:
    reading.goes_on.clear()
    good = GroupReader(["cache"], lambda *_: Outcome({"cache_backend": "x"}))
    status = read_groups([GroupReader(["journal"], reading), good], 0.01)
    assert status.errors == {"journal": "no answer within 10 ms"}
    assert status.silent_parts == {"journal"}
    assert status.cache_backend == "x"


def test_read_groups__what_hangs_is_not_read_a_second_time(reading: Reading) -> None:
    reading.goes_on.clear()
    reader = GroupReader(["journal"], reading)
    for _ in range(50):
        assert read_groups([reader], 0).silent_parts == {"journal"}
    assert reading.count == len(threads()) == 1
    reading.goes_on.set()
    reader.wait(5)
    assert read_groups([reader], 5).pending_count == 3


def test_read_groups__is_shared_for_a_second(reading: Reading, clock: Any) -> None:
    reader = GroupReader(["journal"], reading)
    for _ in range(50):
        assert read_groups([reader], 5).pending_count == 3
    assert reading.count == 1
    clock["at"] += 1.01
    read_groups([reader], 5)
    assert reading.count == 2


def test_read_groups__what_came_long_ago_does_not_count(clock: Any) -> None:
    goes_on = threading.Event()
    is_first = threading.Event()

    def read(part: str, _: datetime) -> Outcome:
        if part == "lists":
            is_first.set()
            goes_on.wait(10)
        return Outcome({"scheduler_holder": "x"} if part == "scheduler" else {})

    reader = GroupReader(["scheduler", "lists"], read)
    try:
        reader.start(clock["at"])
        assert is_first.wait(5)
        assert read_groups([reader], 0).silent_parts == {"lists"}
        clock["at"] += 60
        assert read_groups([reader], 0).silent_parts == {"scheduler", "lists"}
    finally:
        goes_on.set()


def test_read_groups__what_came_last_counts_while_a_read_is_late(
    reading: Reading, clock: Any
) -> None:
    reader = GroupReader(["journal"], reading)
    assert read_groups([reader], 5).pending_count == 3
    reading.goes_on.clear()
    clock["at"] += 10
    assert read_groups([reader], 0).pending_count == 3
    clock["at"] += 1.9
    assert read_groups([reader], 0).silent_parts == frozenset()
    clock["at"] += 0.2
    assert read_groups([reader], 0).silent_parts == {"journal"}


def test_read_groups__what_is_older_than_a_minute_never_counts(
    reading: Reading, clock: Any
) -> None:
    reader = GroupReader(["journal"], reading)
    assert read_groups([reader], 5).pending_count == 3
    reading.goes_on.clear()
    clock["at"] += 61
    assert read_groups([reader], 0).silent_parts == {"journal"}


def test_read_groups__without_the_database_nothing_else_of_it_is_read() -> None:
    read: list[str] = []

    def refuse(part: str, _: datetime) -> Outcome:
        read.append(part)
        return Outcome(error="refused")

    readers = [GroupReader([DATABASE, "flushes"], refuse), GroupReader(["journal"], refuse)]
    status = read_groups(readers, 5)
    assert sorted(read) == [DATABASE, "journal"]
    assert (dict(status.errors), status.silent_parts) == ({DATABASE: "refused"}, frozenset())
    assert "flushes" in status.failed_parts


def test_read_groups__where_no_thread_can_be_started_the_part_is_silent(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    reader = GroupReader(["journal"], reading)
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", refuse)
        assert read_groups([reader], 5).silent_parts == {"journal"}


def test_groups__have_all_parts_but_the_table() -> None:
    from geocache import status  # noqa: PLC0415 - the name is taken by what is read

    grouped = [part for group in parts.GROUPS.values() for part in group]
    known = [name for name, _ in (*status.UNSTORED_PARTS, *status.STORED_PARTS)]
    assert sorted(grouped) == sorted([DATABASE, *known])
    assert list(parts.COUNTED_GROUPS) == ["bans"]


def test_outcomes__the_first_part_of_a_read_counts_as_long_as_its_last() -> None:
    def take(_part: str, _at: datetime) -> Outcome:
        time.sleep(0.02)
        read_at.append(time.monotonic())
        return Outcome()

    read_at: list[float] = []

    reader = parts.GroupReader(("one", "two"), take)
    reader.start(time.monotonic())
    reader.wait(5)
    just_before = read_at[-1] + parts.SHARED_SECONDS - 0.001
    reader.start(just_before)
    assert reader.outcomes(just_before).keys() == {"one", "two"}


def test_forget__a_child_reads_although_its_parent_was_reading(reading: Reading) -> None:
    """As after a fork, where the thread is gone."""
    reader = GroupReader(("journal",), reading)
    reading.goes_on.clear()
    reader.start(time.monotonic())
    reader.forget()
    reading.goes_on.set()
    now = time.monotonic()
    reader.start(now)
    reader.wait(10)
    assert reader.outcomes(now) == {"journal": Outcome({"pending_count": 3})}
