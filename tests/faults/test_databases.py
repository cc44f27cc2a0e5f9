"""The database goes away, is locked, full, read-only, or chooses us as a deadlock's victim."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, close_old_connections, connection
from structlog.testing import capture_logs

from geocache import jobs, lookup
from geocache.exceptions import FlushError
from geocache.journal import backlog, flush, segments
from geocache.journal import writer as journal_writer
from geocache.journal.flush import flush_dirty
from geocache.models import FlushRun, GeoCache, JournalHead
from tests.factories import use_dummy_provider
from tests.support.redis_server import a_redis_server
from tests.support.tcp_proxy import a_proxy_to_the_database

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

only_postgres = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="a fault of PostgreSQL"
)
only_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="a fault of SQLite")


@pytest.fixture(autouse=True)
def dummy(
    settings: Any,
    # Named so that its database is still there when this fixture ends.
    transactional_db: None,  # noqa: ARG001
) -> Iterator[None]:
    use_dummy_provider(settings)
    yield
    close_old_connections()


def addresses(count: int, *, first: int = 0) -> list[str]:
    return [f"20.0.{n >> 8}.{n & 255}" for n in range(first, first + count)]


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def events(logs: list[Any]) -> list[str]:
    return [entry["event"] for entry in logs]


def journaled(count: int, *, first: int = 0) -> list[str]:
    """Look up addresses one by one, so that each is a record of its own."""
    return [lookup.lookup(address).address for address in addresses(count, first=first)]


@contextmanager
def another_connection() -> Iterator[Any]:
    """Give a cursor as another program would have."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            yield cursor
    finally:
        other.close()


# --- PostgreSQL --------------------------------------------------------------------------------


@only_postgres
def test_postgres__away_for_a_while_under_load_then_the_backlog_arrives_in_rounds(
    settings: Any,
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "FLUSH_TIME_LIMIT_SECONDS": 1}
    use_dummy_provider(settings)
    is_done, answered = threading.Event(), []

    def work() -> None:
        for start in range(0, 60_000, 100):
            answered.extend(lookup.lookup_many(addresses(100, first=start)))
            if is_done.wait(0.01):
                return

    with a_proxy_to_the_database() as proxy, capture_logs() as logs:
        writer = threading.Thread(target=work)
        writer.start()
        jobs.geo_cache_flush()
        proxy.cut()
        for _ in range(4):
            jobs.geo_cache_flush()
            time.sleep(0.3)
        is_done.set()
        writer.join()
        proxy.mend()
        round_count = _rounds_until_nothing_is_left()

    assert events(logs).count("geo_job_failed") == 4
    assert "geo_cache_written_through" not in events(logs)
    assert len(answered) > 2000
    assert round_count <= 5
    assert stored() == set(answered)


def _rounds_until_nothing_is_left() -> int:
    for round_number in range(1, 100):
        jobs.geo_cache_flush()
        if not backlog.read_backlog().answer_count:
            return round_number
    raise AssertionError("the backlog does not get shorter")


@only_postgres
@pytest.mark.parametrize("step", ["select", "insert", "update"])
def test_postgres__back_end_terminated_in_mid_flush_is_flushed_by_the_next(step: str) -> None:
    given = journaled(300)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        back_end = cursor.fetchone()[0]

    def terminate(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lower().startswith(step):
            with another_connection() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [back_end])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(terminate), pytest.raises(FlushError, match="terminating"):
        flush_dirty()
    close_old_connections()
    flush_dirty()

    assert stored() == set(given)


@only_postgres
def test_postgres__back_end_terminated_flush_recovers_without_the_jobs_wrapper() -> None:
    given = journaled(10)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        back_end = cursor.fetchone()[0]
    with another_connection() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [back_end])

    with pytest.raises(FlushError):
        flush_dirty()
    flush_dirty()

    assert stored() == set(given)
    # Also of the failure, on the connection that took the place of the broken one.
    assert [bool(run.error) for run in FlushRun.objects.all()] == [False, True]


@only_postgres
def test_postgres__victim_of_a_deadlock_tries_again_by_itself() -> None:
    given = journaled(2)
    flush_dirty()
    # The same answers once more: their rows are there to be locked.
    journal_writer.append([row.to_location() for row in GeoCache.objects.all()])
    has_first, is_waiting = threading.Event(), threading.Event()

    def lock_backwards() -> None:
        with another_connection() as cursor:
            cursor.execute("BEGIN; SET LOCAL deadlock_timeout = '60s'")
            lock = "SELECT 1 FROM geocache_geocache WHERE address = %s FOR UPDATE"
            cursor.execute(lock, [given[1]])
            has_first.set()
            is_waiting.wait(10)
            cursor.execute(lock, [given[0]])
            cursor.execute("ROLLBACK")

    other = threading.Thread(target=lock_backwards)
    other.start()
    has_first.wait(10)

    def lock_first(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('INSERT INTO "geocache_geocache"') and not is_waiting.is_set():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT 1 FROM geocache_geocache WHERE address = %s FOR UPDATE", [given[0]]
                )
            is_waiting.set()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(lock_first):
        report = flush_dirty()
    other.join()

    assert is_waiting.is_set()
    assert report.flushed == 2
    assert stored() == set(given)


@only_postgres
def test_postgres__read_only_keeps_all_and_says_so() -> None:
    given = journaled(10)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")

    with capture_logs() as logs, pytest.raises(FlushError, match="read-only"):
        flush_dirty()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
    flush_dirty()

    assert "geo_flush_run_not_recorded" in events(logs)
    assert stored() == set(given)


# --- SQLite ------------------------------------------------------------------------------------


@contextmanager
def pragma(name: str, value: int, restored: int) -> Iterator[None]:
    """Set something for this test's connection."""
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name} = {value}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA {name} = {restored}")


@only_sqlite
def test_sqlite__locked_by_another_program_keeps_all_and_goes_on_afterwards() -> None:
    given = journaled(10)
    # Made before the lock: a new connection could not even set its journal mode.
    JournalHead.of(segments.journal_name())

    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
        other.execute("BEGIN IMMEDIATE")
        with pragma("busy_timeout", 100, 20_000), capture_logs() as logs:
            given += journaled(10, first=10)
            with pytest.raises(FlushError, match="database is locked"):
                flush_dirty()
        other.rollback()

    assert "geo_cache_written_through" not in events(logs)
    flush_dirty()
    assert stored() == set(given)


@only_sqlite
def test_sqlite__full_disk_keeps_all_and_goes_on_when_there_is_room() -> None:
    lookup.lookup_many(addresses(20_000))

    with pragma("max_page_count", _page_count() + 20, 2**30):
        with capture_logs() as logs, pytest.raises(FlushError, match="full"):
            flush_dirty()
        assert len(lookup.lookup_many(addresses(10, first=20_000))) == 10
    flush_dirty()

    assert events(logs)[-1:] in ([], ["geo_flush_run_not_recorded"])
    assert stored() == set(addresses(20_010))


def _page_count() -> int:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        return int(cursor.fetchone()[0])


@only_sqlite
def test_sqlite__read_only_keeps_all_and_says_so() -> None:
    given = journaled(10)

    with pragma("query_only", 1, 0), capture_logs() as logs:
        given += journaled(10, first=10)
        with pytest.raises(FlushError, match="readonly"):
            flush_dirty()
    flush_dirty()

    assert "geo_flush_run_not_recorded" in events(logs)
    assert stored() == set(given)


# --- cache and database both ---------------------------------------------------------------------


def test_both_down__lookups_answer_say_so_and_record_it_when_one_is_back(
    tmp_path: Path, settings: Any
) -> None:
    given = addresses(25)
    with a_redis_server(tmp_path, settings) as server:
        with the_database_away():
            server.kill()
            with capture_logs() as logs:
                answered = {**lookup.lookup_many(given[:20])}
                answered |= {address: lookup.lookup(address) for address in given[20:]}
        assert list(answered) == given
        assert not stored()
        lookup.lookup("30.0.0.1")

    unrecorded = [entry for entry in logs if entry["event"] == "geo_answers_unrecorded"]
    assert [(entry["kept"], entry["log_level"]) for entry in unrecorded] == [(20, "error")]
    assert stored() == {*given, "30.0.0.1"}


@contextmanager
def the_database_away() -> Iterator[None]:
    if connection.vendor == "sqlite":
        with pragma("query_only", 1, 0):
            yield
        return
    with a_proxy_to_the_database() as proxy:
        proxy.cut()
        yield
        proxy.mend()


@only_postgres
def test_both_down__a_long_running_process_writes_through_again_when_the_database_is_back(
    tmp_path: Path, settings: Any
) -> None:
    with a_redis_server(tmp_path, settings) as server, a_proxy_to_the_database() as proxy:
        server.kill()
        lookup.lookup_many(addresses(10))
        proxy.cut()
        lookup.lookup_many(addresses(10, first=10))
        proxy.mend()
        # No request begins here, which would close the broken connection.
        lookup.lookup_many(addresses(10, first=20))
        lookup.lookup_many(addresses(10, first=30))

        assert stored() >= {*addresses(10), *addresses(10, first=30)}


def test_refused__an_answer_that_the_database_refuses_keeps_no_other_from_the_table(
    tmp_path: Path, settings: Any
) -> None:
    use_dummy_provider(settings, answers={"20.0.0.1": {"asn": 2**70}})
    with a_redis_server(tmp_path, settings) as server:
        server.kill()
        answers = lookup.lookup_many(["20.0.0.0", "20.0.0.1", "20.0.0.2"])
        lookup.lookup("20.0.0.3")

    assert answers["20.0.0.1"].asn == 2**70
    assert stored() == {"20.0.0.0", "20.0.0.2", "20.0.0.3"}


def test_flush_run__keeps_account_of_a_failure_that_came_in_the_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flush, "BATCH_ANSWERS", 64)
    flush_dirty()
    given = journaled(200)
    real, left = JournalHead.advance, iter(range(1))

    def breaks(*args: Any, **kwargs: Any) -> None:
        if next(left, None) is None:
            raise DatabaseError("disk I/O error")
        real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(JournalHead, "advance", breaks)
        with pytest.raises(FlushError, match="disk I/O"):
            flush_dirty()
    run = FlushRun.objects.get()
    flush_dirty()

    assert 0 < run.flushed < 200
    assert "disk I/O error" in run.error
    assert stored() == set(given)
