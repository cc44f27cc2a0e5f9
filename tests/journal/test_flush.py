import math
import threading
import time
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import BaseCache
from django.db import DataError, OperationalError, connection, transaction

from geocache.cache import backends
from geocache.exceptions import FlushError
from geocache.journal import backlog, flush, reader, segments, writer
from geocache.journal.flush import flush_dirty
from geocache.location import dump_locations
from geocache.models import FlushRun, GeoCache, GeoCacheQuerySet, JournalHead, RejectedEntry
from tests.factories import NOON, a_location, many_locations
from tests.support.cache_loss import lose_journal

pytestmark = pytest.mark.django_db

# No database takes this as a 64-bit integer.
TOO_BIG = 2**70


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the app catches it."""


def head() -> JournalHead:
    return JournalHead.of(segments.journal_name())


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def new_process() -> None:
    """Forget what this process knows, as if another one went on."""
    writer.process_writer.reset()


def records_left() -> int:
    last = reader.last_ticket()
    numbers = range(segments.base_of(last), last + 1)
    keys = [key for number in numbers for key in segments.record_keys(number)]
    return sum(value != segments.SEAL for value in backends.current().get_many(keys).values())


def test_flush_dirty__writes_what_was_journaled_and_forgets_the_records() -> None:
    given = many_locations(450)
    writer.append(given)

    report = flush_dirty()

    assert (report.flushed, report.rejected, report.pending, report.timed_out) == (450, 0, 0, False)
    assert {row.to_location() for row in GeoCache.objects.all()} == set(given)
    assert records_left() == 0


def test_flush_dirty__of_nothing_writes_nothing_down() -> None:
    flush_dirty()

    report = flush_dirty()

    assert report.flushed == 0
    assert not FlushRun.objects.exists()


def test_flush_dirty__keeps_account_of_what_it_did() -> None:
    writer.append([a_location()])

    report = flush_dirty()

    run = FlushRun.objects.get()
    assert (run.flushed, run.rejected, run.pending, run.error) == (1, 0, 0, "")
    assert run.seconds == report.seconds


def test_flush_dirty__of_many_answers_for_one_address_writes_the_newest() -> None:
    for minutes in (1, 3, 2):
        later = a_location(city=f"City {minutes}", resolved_at=NOON + timedelta(minutes=minutes))
        writer.append([later])

    report = flush_dirty()

    assert report.flushed == 1
    assert GeoCache.objects.get().city == "City 3"


def test_flush_dirty__never_replaces_a_newer_answer_with_an_older_one() -> None:
    writer.append([a_location(city="Newer", resolved_at=NOON + timedelta(minutes=1))])
    flush_dirty()
    writer.append([a_location(city="Older", resolved_at=NOON)])

    flush_dirty()

    assert GeoCache.objects.get().city == "Newer"


def test_flush_dirty__a_thousand_answers_for_one_address_are_one_row() -> None:
    for _ in range(1000):
        writer.append([a_location()])

    flush_dirty()

    assert GeoCache.objects.count() == 1


def test_flush_dirty__works_in_batches_and_moves_the_head_with_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flush, "BATCH_ANSWERS", 64)
    for location in many_locations(300):
        writer.append([location])

    report = flush_dirty()

    assert report.flushed == 300
    assert head().flushed_through == head().deleted_through == reader.last_ticket()


@pytest.mark.parametrize(
    "options", [{"time_limit_seconds": 0}, {"is_stopped": lambda: True}], ids=["late", "stopped"]
)
def test_flush_dirty__stops_behind_its_time_limit_or_when_told_and_the_next_one_goes_on(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr(flush, "BATCH_ANSWERS", 64)
    for location in many_locations(300):
        writer.append([location])

    first = flush_dirty(**options)
    later = flush_dirty()

    assert (first.flushed, first.pending, first.timed_out) == (64, 236, True)
    assert (later.flushed, later.pending, later.timed_out) == (236, 0, False)
    assert records_left() == 0


@pytest.mark.parametrize(
    "step",
    ["reader.close_some", "GeoCache.objects.upsert", "JournalHead.advance", "reader.forget"],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_flush_dirty__killed_at_a_step_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    flush_dirty()
    given = many_locations(150)
    for location in given:
        writer.append([location])
    owner_name, _, name = step.rpartition(".")
    owner: Any = {
        "reader": reader,
        "GeoCache.objects": type(GeoCache.objects),
        "JournalHead": JournalHead,
    }[owner_name]
    original = getattr(owner, name)

    def killed(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            original(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            flush_dirty()
    new_process()

    flush_dirty()

    assert stored() == {location.address for location in given}
    assert records_left() == 0
    assert backlog.read_backlog().answer_count == 0


def test_flush_dirty__moves_a_refused_answer_aside_and_writes_the_others() -> None:
    writer.append([*many_locations(100), a_location("30.0.0.1", asn=TOO_BIG)])

    report = flush_dirty()

    entry = RejectedEntry.objects.get()
    assert (report.flushed, report.rejected, report.pending) == (100, 1, 0)
    assert entry.address == "30.0.0.1"
    assert entry.error
    assert entry.record == dump_locations([a_location("30.0.0.1", asn=TOO_BIG)])


TAKES_NUL = pytest.mark.skipif("connection.vendor == 'mysql'", reason="MariaDB takes a NUL")


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite takes any text")
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"city": "a\0b"}, marks=TAKES_NUL),
        {"city": "x" * 300},
        {"accuracy_radius_km": 10**6},
    ],
)
def test_flush_dirty__moves_aside_what_this_database_refuses(fields: dict[str, Any]) -> None:
    writer.append([*many_locations(10), a_location("30.0.0.1", **fields)])

    report = flush_dirty()

    assert (report.flushed, report.rejected) == (10, 1)
    assert RejectedEntry.objects.get().address == "30.0.0.1"


@pytest.mark.parametrize("count", [1, 3, 250])
def test_flush_dirty__keeps_all_when_the_database_refuses_all(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    def upsert(*_: Any) -> None:
        raise DataError("nothing is taken")

    writer.append(many_locations(count))
    with monkeypatch.context() as patch:
        patch.setattr(GeoCacheQuerySet, "upsert", upsert)
        with pytest.raises(FlushError, match="refuses every answer"):
            flush_dirty()

    assert not RejectedEntry.objects.exists()
    assert backlog.read_backlog().answer_count == count
    assert "refuses" in FlushRun.objects.get().error
    assert flush_dirty().flushed == count


@pytest.mark.parametrize("count", [1, 250])
def test_flush_dirty__rejects_refused_answers_also_when_there_are_no_others(count: int) -> None:
    writer.append(many_locations(count, asn=TOO_BIG))

    report = flush_dirty()

    assert (report.flushed, report.rejected, report.pending) == (0, count, 0)
    assert RejectedEntry.objects.count() == count


@pytest.mark.parametrize(
    "text", ["nonsense", '{"v":99,"n":1,"answers":[["20.0.0.1"]]}', "a\0\ud800b"]
)
def test_flush_dirty__keeps_a_record_that_it_cannot_read(text: str) -> None:
    writer.append([a_location()])
    number = reader.last_ticket()
    backend = backends.current()
    real_get_many = backends.get_many
    backend.add(segments.record_key(number, 1), "nonsense", timeout=None)

    def get_many(backend: BaseCache, keys: list[str]) -> dict[str, Any]:
        found = real_get_many(backend, keys)
        return {key: text if value == "nonsense" else value for key, value in found.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "get_many", get_many)
        report = flush_dirty()

    assert (report.flushed, report.rejected) == (1, 1)
    assert RejectedEntry.objects.get().record[:1] == text[:1]


def test_flush_dirty__database_away_ends_it_before_anything_is_sealed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer.append([a_location()])
    number = reader.last_ticket()

    def away(_: str) -> JournalHead:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(JournalHead, "of", away)
        with pytest.raises(FlushError, match="connection refused"):
            flush_dirty()

    assert backends.current().get(segments.record_key(number, 1)) is None
    assert flush_dirty().flushed == 1


def test_flush_dirty__cache_down_is_one_clear_line(settings: Any) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1",
        },
    }

    with pytest.raises(FlushError, match="the cache cannot be reached") as error:
        flush_dirty()

    assert "\n" not in str(error.value)


@pytest.mark.django_db(transaction=True)
def test_flush_dirty__refuses_to_run_inside_a_transaction() -> None:
    writer.append([a_location()])

    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        flush_dirty()

    assert flush_dirty().flushed == 1


def test_flush_dirty__finds_the_records_of_a_counter_that_was_deleted() -> None:
    writer.append([a_location("20.0.0.1")])
    flush_dirty()
    writer.append([a_location("20.0.0.2")])
    backends.current().delete(segments.key(segments.Name.TICKET))
    new_process()
    writer.append([a_location("20.0.0.3")])

    flush_dirty()

    assert stored() == {"20.0.0.1", "20.0.0.2", "20.0.0.3"}
    assert records_left() == 0


def test_flush_dirty__cache_cleared_twice_loses_only_what_no_live_writer_holds() -> None:
    writer.append([a_location("20.0.0.1")])
    for number in (2, 3):
        lose_journal()
        writer.append([a_location(f"20.0.0.{number}")])

    flush_dirty()

    assert stored() == {"20.0.0.1", "20.0.0.2", "20.0.0.3"}


def test_flush_dirty__follows_a_clock_that_went_back(monkeypatch: pytest.MonkeyPatch) -> None:
    writer.append([a_location("20.0.0.1")])
    flush_dirty()
    before = head().flushed_through
    backends.current().delete(segments.key(segments.Name.TICKET))
    new_process()
    an_hour_ago = time.time_ns() - 3600 * 10**9
    with monkeypatch.context() as patch:
        patch.setattr(segments.time, "time_ns", lambda: an_hour_ago)
        writer.append([a_location("20.0.0.2")])

    flush_dirty()
    new_process()
    writer.append([a_location("20.0.0.3")])
    flush_dirty()

    assert stored() == {"20.0.0.1", "20.0.0.2", "20.0.0.3"}
    assert head().flushed_through > before


def test_flush_dirty__writer_with_a_segment_of_a_lost_counter_loses_nothing() -> None:
    writer.append([a_location("20.0.0.1")])
    flush_dirty()
    writer.append([a_location("20.0.0.2")])
    backends.current().delete(segments.key(segments.Name.TICKET))
    other = writer.Writer()
    other.append(dump_locations([a_location("20.0.0.3")]))
    flush_dirty()
    # This process still has its segment, which is far behind the head now.
    writer.append([a_location("20.0.0.4")])

    flush_dirty()

    assert stored() == {f"20.0.0.{number}" for number in (1, 2, 3, 4)}


def test_flush_dirty__killed_while_it_lifts_the_counter_leaves_no_long_way_to_trim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer.append([a_location("20.0.0.1")])
    flush_dirty()
    backends.current().delete(segments.key(segments.Name.TICKET))
    new_process()
    an_hour_ago = time.time_ns() - 3600 * 10**9
    with monkeypatch.context() as patch:
        patch.setattr(segments.time, "time_ns", lambda: an_hour_ago)
        writer.append([a_location("20.0.0.2")])
    advance = JournalHead.advance

    def killed(*arguments: Any, **numbers: int) -> None:
        advance(*arguments, **numbers)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(JournalHead, "advance", killed)
        with pytest.raises(Killed):
            flush_dirty()

    assert head().flushed_through == head().deleted_through


def test_flush_dirty__deletes_what_another_left_that_was_killed_while_this_one_ran(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flush_dirty()
    writer.append([a_location("20.0.0.1")])
    last_ticket = reader.last_ticket

    def killed(_: Any) -> None:
        raise Killed

    def overtaken() -> int:
        monkeypatch.undo()
        with monkeypatch.context() as patch:
            patch.setattr(reader, "forget", killed)
            patch.setattr(reader, "lock", lambda _: nullcontext())
            with pytest.raises(Killed):
                flush_dirty()
        new_process()
        writer.append([a_location("20.0.0.2")])
        return last_ticket()

    monkeypatch.setattr(reader, "last_ticket", overtaken)
    flush_dirty()
    flush_dirty()

    assert stored() == {"20.0.0.1", "20.0.0.2"}
    assert records_left() == 0


@pytest.mark.django_db(transaction=True)
def test_flush_dirty__four_flushers_and_four_writers_at_once_lose_nothing() -> None:
    given = many_locations(2000)
    errors: list[Exception] = []
    is_done = threading.Event()

    def write(part: int) -> None:
        for location in given[part::4]:
            writer.append([location])

    def flush_on() -> None:
        try:
            while not is_done.is_set():
                flush_dirty()
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)
        finally:
            connection.close()

    flushers = [threading.Thread(target=flush_on) for _ in range(4)]
    writers = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for thread in flushers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    is_done.set()
    for thread in flushers:
        thread.join()
    flush_dirty()

    assert errors == []
    assert stored() == {location.address for location in given}
    assert records_left() == 0


def test_flush_dirty__without_a_time_limit() -> None:
    writer.append([a_location()])

    assert flush_dirty(math.inf).flushed == 1
