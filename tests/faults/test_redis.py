"""Redis goes away, comes back without its memory, is slow, is full: what then?"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from geocache import lookup
from geocache.cache import backends
from geocache.exceptions import FlushError, JournalUnavailable
from geocache.journal import backlog, reader, segments
from geocache.journal import writer as journal_writer
from geocache.journal.flush import flush_dirty
from geocache.location import dump_locations
from geocache.models import GeoCache
from tests.factories import a_location, many_locations, use_dummy_provider
from tests.support.redis_server import RedisServer, a_redis_server

pytestmark = [pytest.mark.cache_decides, pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture
def redis_server(tmp_path: Path, settings: Any) -> Iterator[RedisServer]:
    """A server that keeps nothing on its disk."""
    with a_redis_server(tmp_path, settings) as server:
        yield server


@pytest.fixture
def durable_server(tmp_path: Path, settings: Any) -> Iterator[RedisServer]:
    with a_redis_server(tmp_path, settings, has_append_only_file=True) as server:
        yield server


@pytest.fixture
def dummy(settings: Any) -> None:
    use_dummy_provider(settings)


def addresses(count: int, *, first: int = 0) -> list[str]:
    return [f"20.0.{n >> 8}.{n & 255}" for n in range(first, first + count)]


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def events(logs: list[Any]) -> list[str]:
    return [entry["event"] for entry in logs]


def journal_one(
    address: str, writer: journal_writer.Writer = journal_writer.process_writer
) -> None:
    writer.append(dump_locations([a_location(address)]))


def half_a_minute_passes(writer: journal_writer.Writer = journal_writer.process_writer) -> None:
    """Let the next answer need a new segment."""
    writer.open_segments.clear()


def die(writer: journal_writer.Writer = journal_writer.process_writer) -> None:
    """Forget what this process knows, as if another one went on."""
    writer.reset()


# --- killed and restarted ----------------------------------------------------------------------


def test_redis__killed_and_restarted_with_its_file_loses_nothing(
    durable_server: RedisServer,
) -> None:
    for address in addresses(100):
        journal_one(address)
    die()

    durable_server.restart()
    journal_one("30.0.0.1")
    flush_dirty()

    assert stored() == {*addresses(100), "30.0.0.1"}


@pytest.mark.parametrize("flushes_between", [0, 1, 2])
def test_redis__killed_and_restarted_without_a_file_is_repaired_by_live_writers(
    redis_server: RedisServer, flushes_between: int
) -> None:
    writers = [journal_writer.Writer() for _ in range(3)]
    for writer, address in zip(writers * 5, addresses(15), strict=True):
        journal_one(address, writer)

    redis_server.restart()
    for _ in range(flushes_between):
        flush_dirty()
    for writer in writers:
        half_a_minute_passes(writer)
        journal_one("30.0.0.1", writer)
    flush_dirty()

    assert stored() == {*addresses(15), "30.0.0.1"}


@pytest.mark.parametrize("flushes_between", [0, 1])
def test_redis__an_answer_that_an_old_segment_took_after_the_restart_is_not_lost(
    redis_server: RedisServer, flushes_between: int
) -> None:
    for address in addresses(5):
        journal_one(address)
    redis_server.restart()
    for _ in range(flushes_between):
        flush_dirty()

    # The writer has not noticed: its segment is still young, and Redis takes the record.
    journal_one("30.0.0.1")
    flush_dirty()
    half_a_minute_passes()
    journal_one("30.0.0.2")
    flush_dirty()

    assert stored() == {*addresses(5), "30.0.0.1", "30.0.0.2"}


def test_redis__a_writer_that_was_idle_for_long_still_repairs(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal_one("20.0.0.1")
    redis_server.restart()
    ten_minutes_later = time.monotonic() + 600
    monkeypatch.setattr(journal_writer.time, "monotonic", lambda: ten_minutes_later)

    journal_one("20.0.0.2")
    flush_dirty()

    assert stored() == {"20.0.0.1", "20.0.0.2"}


def test_redis__a_repair_that_is_cut_short_is_finished_later(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in addresses(5):
        journal_one(address)
    redis_server.restart()
    half_a_minute_passes()
    real, left = backends.append, iter(range(3))

    def append_until_it_dies(*args: Any, **options: Any) -> backends.Appended:
        if next(left, None) is None:
            redis_server.kill()
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(backends, "append", append_until_it_dies)
        with pytest.raises(JournalUnavailable):
            journal_one("30.0.0.1")
    redis_server.start()

    half_a_minute_passes()
    journal_one("30.0.0.2")
    flush_dirty()

    assert stored() >= {*addresses(5), "30.0.0.2"}


def test_redis__memory_lost_together_with_all_writers_is_said(redis_server: RedisServer) -> None:
    journal_one("20.0.0.1")
    flush_dirty()
    journal_one("20.0.0.2")

    redis_server.restart()
    die()
    with capture_logs() as logs:
        flush_dirty()

    assert "geo_journal_counter_lost" in events(logs)
    assert stored() == {"20.0.0.1"}


@pytest.mark.parametrize("is_flushed_between", [True, False])
def test_redis__comes_back_from_an_older_snapshot_and_is_repaired_by_live_writers(
    redis_server: RedisServer, is_flushed_between: bool
) -> None:
    journal_one("20.0.0.1")
    with redis_server.client() as client:
        client.save()
    for number in range(2, 6):
        half_a_minute_passes()
        journal_one(f"20.0.0.{number}")
        if number == 3 and is_flushed_between:
            flush_dirty()

    redis_server.restart()
    # The segment of the last answer is still in use, and the counter is behind it.
    journal_one("30.0.0.1")
    flush_dirty()
    half_a_minute_passes()
    journal_one("30.0.0.2")
    flush_dirty()

    assert stored() == {*addresses(5, first=1), "30.0.0.1", "30.0.0.2"}


# --- its memory lost in part -------------------------------------------------------------------


@pytest.mark.parametrize("is_flushed_between", [True, False])
def test_redis__cleared_twice_within_a_second_is_repaired_by_live_writers(
    redis_server: RedisServer, is_flushed_between: bool
) -> None:
    writers = [journal_writer.Writer() for _ in range(2)]
    for round_number in range(3):
        for number, writer in enumerate(writers):
            half_a_minute_passes(writer)
            journal_one(f"20.0.{round_number}.{number}", writer)
        with redis_server.client() as client:
            client.flushall()
        if is_flushed_between:
            flush_dirty()
    for writer in writers:
        half_a_minute_passes(writer)
        journal_one("30.0.0.1", writer)

    flush_dirty()

    assert stored() == {f"20.0.{r}.{n}" for r in range(3) for n in range(2)} | {"30.0.0.1"}


@pytest.mark.usefixtures("redis_server")
def test_redis__counter_deleted_loses_nothing_though_the_writer_is_dead() -> None:
    journal_one("20.0.0.1")
    flush_dirty()
    other = journal_writer.Writer()
    for address in addresses(70, first=2):
        journal_one(address)
        journal_one(address, other)
    die()

    backends.current().delete(segments.key(segments.Name.TICKET))
    # One goes on in its old segment, one begins with the new counter.
    journal_one("30.0.0.1", other)
    journal_one("30.0.0.2")
    flush_dirty()
    journal_one("30.0.0.3", other)
    flush_dirty()

    assert stored() == {*addresses(71, first=1), "30.0.0.1", "30.0.0.2", "30.0.0.3"}


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.usefixtures("redis_server")
def test_redis__one_deleted_record_is_counted_and_repaired_by_its_live_writer(index: int) -> None:
    for address in addresses(4):
        journal_one(address)
    backends.current().delete(segments.record_key(reader.last_ticket(), index))

    with capture_logs() as logs:
        flush_dirty()
    half_a_minute_passes()
    journal_one("30.0.0.1")
    flush_dirty()

    lost = [entry["lost_records"] for entry in logs if entry["event"] == "geo_journal_records_lost"]
    assert lost == [1]
    assert stored() == {*addresses(4), "30.0.0.1"}


@pytest.mark.usefixtures("dummy")
def test_redis__evicts_answers_but_never_the_journal(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory-policy", "volatile-lru")
        client.config_set("maxmemory", used + 2_000_000)
        for start in range(0, 12_000, 1000):
            lookup.lookup_many(addresses(1000, first=start))
            flush_dirty()
        evicted = client.info("stats")["evicted_keys"]

    assert evicted > 100
    assert stored() == set(addresses(12_000))


# --- away, slow, full --------------------------------------------------------------------------


@pytest.mark.usefixtures("dummy")
def test_redis__away_and_back_lookups_answer_and_nothing_is_lost(
    durable_server: RedisServer,
) -> None:
    lookup.lookup_many(addresses(10))
    durable_server.kill()
    started = time.monotonic()

    with capture_logs() as logs:
        answers = lookup.lookup_many(addresses(10, first=10))

    assert time.monotonic() - started < 5
    assert set(answers) == set(addresses(10, first=10)) == stored()
    assert "geo_cache_written_through" in events(logs)
    durable_server.start()
    lookup.lookup_many(addresses(10, first=20))
    flush_dirty()
    assert stored() == set(addresses(30))


@pytest.mark.usefixtures("dummy")
def test_redis__connections_killed_under_load_lose_nothing(redis_server: RedisServer) -> None:
    is_done = threading.Event()

    def kill_clients() -> None:
        with redis_server.client() as client:
            while not is_done.wait(0.01):
                client.client_kill_filter(_type="normal", skipme=True)

    killer = threading.Thread(target=kill_clients)
    killer.start()
    try:
        for address in addresses(300):
            assert lookup.lookup(address).address == address
    finally:
        is_done.set()
        killer.join()
    flush_dirty()

    assert stored() == set(addresses(300))


@pytest.mark.usefixtures("dummy")
def test_redis__slow_lookups_wait_and_nothing_is_lost(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        for start in range(0, 30, 10):
            client.client_pause(300, all=True)
            assert len(lookup.lookup_many(addresses(10, first=start))) == 10
    flush_dirty()

    assert stored() == set(addresses(30))


@pytest.mark.usefixtures("dummy")
def test_redis__frozen_for_longer_than_its_time_limit_is_written_through(
    redis_server: RedisServer,
) -> None:
    lookup.lookup_many(addresses(10))
    redis_server.stall()
    try:
        started = time.monotonic()
        with capture_logs() as logs:
            lookup.lookup_many(addresses(10, first=10))
        assert time.monotonic() - started < 30
        with pytest.raises(FlushError, match="the cache cannot be reached"):
            flush_dirty()
    finally:
        redis_server.go_on()
    assert "geo_cache_written_through" in events(logs)

    lookup.lookup_many(addresses(10, first=20))
    flush_dirty()

    assert stored() == set(addresses(30))


@pytest.mark.usefixtures("dummy")
def test_redis__out_of_memory_is_written_through_and_what_it_held_is_flushed_later(
    redis_server: RedisServer,
) -> None:
    lookup.lookup_many(addresses(10))
    with redis_server.client() as client:
        client.config_set("maxmemory", 1)
        with capture_logs() as logs:
            answers = lookup.lookup_many(addresses(10, first=10))
        with pytest.raises(FlushError, match="maxmemory"):
            flush_dirty()
        assert set(answers) == stored() == set(addresses(10, first=10))
        assert "geo_cache_written_through" in events(logs)
        client.config_set("maxmemory", 0)

    flush_dirty()

    assert stored() == set(addresses(20))


def test_redis__a_flush_interrupted_by_its_death_is_done_by_the_next(
    durable_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for location in many_locations(200):
        journal_writer.append([location])

    def die_first(_: Any) -> None:
        durable_server.kill()
        raise JournalUnavailable("the cache cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(reader, "forget", die_first)
        with pytest.raises(FlushError):
            flush_dirty()
    durable_server.start()
    die()
    flush_dirty()

    assert len(stored()) == 200
    assert backlog.read_backlog().answer_count == 0
