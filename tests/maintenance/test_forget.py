import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_interface, ip_network
from typing import Any

import pytest
from django.core.cache.backends.base import BaseCache
from django.db import OperationalError, connection
from django.utils import timezone

from geocache.cache import backends
from geocache.exceptions import FlushError, InvalidAddress, JournalUnavailable, ProviderError
from geocache.journal import flush, reader, spill_buffer, table_writer, writer
from geocache.journal.flush import FlushReport, flush_dirty
from geocache.location import Location
from geocache.lookup import hot_entries, lookup, lookup_many
from geocache.maintenance import forget as maintenance_forget
from geocache.maintenance.forget import forget
from geocache.maintenance.resolve_again import resolve_again
from geocache.models import GeoCache, JournalHead, RejectedEntry, Tombstone
from geocache.providers import factory, quota
from geocache.providers.dummy import DummyProvider
from tests.factories import (
    LONDON,
    MOSCOW_V6,
    a_location,
    a_row,
    many_locations,
    use_dummy_provider,
)
from tests.support.cache_loss import lose_journal

pytestmark = pytest.mark.django_db
OTHER = "9.9.9.9"


@pytest.fixture(autouse=True)
def provider(settings: Any) -> DummyProvider:
    return use_dummy_provider(settings, answers={LONDON: {"country_code": "GB"}})


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def hot(*addresses: str) -> dict[str, Location]:
    return hot_entries.get_many(factory.current().build(), addresses)


def test_forget__row_hot_entry_and_memory_are_gone_and_others_stay(provider: DummyProvider) -> None:
    lookup_many([LONDON, MOSCOW_V6, OTHER])
    flush_dirty()

    assert forget([LONDON, MOSCOW_V6]) == 2

    assert stored() == set(hot(LONDON, MOSCOW_V6, OTHER)) == {OTHER}
    provider.asked.clear()
    lookup(LONDON)
    assert provider.asked == [LONDON]


def test_forget__dirty_answer_does_not_come_back_with_the_next_flush() -> None:
    lookup(LONDON)
    assert forget([LONDON]) == 1
    flush_dirty()
    assert stored() == set()


@pytest.mark.parametrize(
    "text", [f" {LONDON} ", f"::ffff:{LONDON}", ip_interface(f"{LONDON}/24"), ip_network(LONDON)]
)
def test_forget__however_the_address_is_written(text: Any) -> None:
    a_row(LONDON)
    assert forget([text]) == 1
    assert not GeoCache.objects.exists()


def test_forget__what_is_not_an_address_forgets_nothing() -> None:
    a_row(LONDON)
    with pytest.raises(InvalidAddress):
        forget([LONDON, "192.0.2.0/24"])
    assert GeoCache.objects.count() == 1


def test_forget__what_is_not_known_is_nothing() -> None:
    assert forget([LONDON]) == 0


def test_forget__later_answer_is_kept() -> None:
    lookup(LONDON)
    forget([LONDON])
    lookup(LONDON)
    flush_dirty()
    assert stored() == {LONDON}


def test_forget__hot_entry_made_of_the_row_before_its_commit_is_deleted_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    location = a_row().to_location()
    build = factory.current().build()
    delete, deletions = hot_entries.delete_many, []

    def delete_then_be_read(*given: Any) -> bool:
        is_done = delete(*given)
        if not deletions:
            hot_entries.set_many(build, [location])
        deletions.append(given)
        return is_done

    monkeypatch.setattr(hot_entries, "delete_many", delete_then_be_read)
    forget([LONDON])
    assert hot(LONDON) == {}


def test_forget__flush_that_runs_out_of_time_forgets_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_row()
    monkeypatch.setattr(maintenance_forget, "flush_dirty", lambda _: FlushReport(timed_out=True))
    with pytest.raises(FlushError, match="before all dirty answers were flushed"):
        forget([LONDON])
    assert stored() == {LONDON}


def test_forget__hands_its_time_limit_to_the_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "BATCH_ANSWERS", 1)
    for location in many_locations(2):
        writer.append([location])
        writer.process_writer.reset()
    with pytest.raises(FlushError, match="time limit"):
        forget([LONDON], time_limit_seconds=0.0)


class Paused:
    """A flush in a thread, which has read its records and waits before it writes them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, time_limit_seconds: float) -> None:
        self.has_read, self.may_write = threading.Event(), threading.Event()
        real = table_writer.write

        def write(*args: Any, **options: Any) -> table_writer.Written:
            monkeypatch.setattr(table_writer, "write", real)
            self.has_read.set()
            assert self.may_write.wait(60)
            return real(*args, **options)

        monkeypatch.setattr(table_writer, "write", write)
        self.thread = threading.Thread(target=self._run, args=(time_limit_seconds,))
        self.thread.start()
        assert self.has_read.wait(60)

    def go_on(self) -> None:
        self.may_write.set()
        self.thread.join(60)

    def _run(self, time_limit_seconds: float) -> None:
        try:
            flush_dirty(time_limit_seconds)
        finally:
            connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("time_limit_seconds", [1.0, 60.0])
def test_forget__flush_that_overruns_its_lock_does_not_bring_it_back(
    monkeypatch: pytest.MonkeyPatch, time_limit_seconds: float
) -> None:
    lookup_many([LONDON, OTHER])
    flush = Paused(monkeypatch, time_limit_seconds)
    monkeypatch.setattr(maintenance_forget, "flush_dirty", lambda _: FlushReport())

    forget([LONDON])
    flush.go_on()

    assert stored() == {OTHER}
    assert set(hot(LONDON, OTHER)) == {OTHER}
    assert flush_dirty().pending == 0
    assert stored() == {OTHER}


@pytest.mark.django_db(transaction=True)
def test_forget__does_not_wait_for_a_flush_that_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_row()
    monkeypatch.setattr(maintenance_forget, "flush_dirty", lambda _: FlushReport())
    with reader.lock(60):
        assert forget([LONDON]) == 1
    assert stored() == set()


@pytest.mark.django_db(transaction=True)
def test_forget__what_a_process_could_not_record_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spill_buffer.buffer.put([a_location(resolved_at=datetime.now(UTC))], 0)
    forget([LONDON])
    with monkeypatch.context() as patch:
        patch.setattr(writer, "append", unavailable)
        lookup(OTHER)
    assert stored() == {OTHER}


def unavailable(*_: object) -> bool:
    raise JournalUnavailable("away")


def test_forget__what_a_writer_journals_again_does_not_come_back() -> None:
    lookup(LONDON)
    flush_dirty()
    forget([LONDON])
    lose_journal()
    lookup(OTHER)
    flush_dirty()
    assert stored() == {OTHER}


@pytest.mark.django_db(transaction=True)
def test_forget__database_that_goes_back_to_before_the_flush_does_not_bring_it_back() -> None:
    lookup_many([LONDON, OTHER])
    flush_dirty()
    forget([LONDON])
    tombstones = list(Tombstone.objects.all())
    GeoCache.objects.all().delete()
    JournalHead.objects.all().delete()
    assert tombstones
    flush_dirty()
    assert stored() == {OTHER}


def test_forget__history_and_what_was_refused_go_too() -> None:
    a_row()
    RejectedEntry.objects.create(address=LONDON, record="text", error="refused")
    RejectedEntry.objects.create(address=OTHER, record="text", error="refused")
    forget([LONDON])
    assert [one.address for one in RejectedEntry.objects.all()] == [OTHER]


@pytest.mark.parametrize("is_hot", [True, False])
def test_forget__a_refresh_under_way_does_not_bring_it_back(
    monkeypatch: pytest.MonkeyPatch, *, is_hot: bool
) -> None:
    a_row()
    real = quota.ask

    def ask_then_be_forgotten(*args: Any) -> dict[str, Location]:
        answers = real(*args)
        forget([LONDON])
        return answers

    monkeypatch.setattr(quota, "ask", ask_then_be_forgotten)
    resolve_again([LONDON], is_hot=is_hot)
    flush_dirty()
    assert stored() == set()
    assert hot(LONDON) == {}


def test_forget__the_tombstone_does_not_tell_the_address_and_goes_in_time() -> None:
    forget([LONDON])
    assert LONDON not in str(Tombstone.objects.values())
    Tombstone.objects.update(forgotten_at=timezone.now() - timedelta(days=31))
    forget([OTHER])
    assert set(Tombstone.moments([LONDON, OTHER])) == {OTHER}


def test_forget__cache_that_fails_keeps_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    a_row()
    monkeypatch.setattr(hot_entries, "delete_many", lambda *_: False)
    with pytest.raises(FlushError, match="the cache cannot be reached"):
        forget([LONDON])
    assert stored() == {LONDON}


def test_forget__cache_that_is_down_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> BaseCache:
        raise OSError("connection refused")

    a_row()
    monkeypatch.setattr(backends, "current", fail)
    with pytest.raises(FlushError, match="connection refused"):
        forget([LONDON])
    assert stored() == {LONDON}


def test_forget__cache_that_is_down_after_the_flush_forgets_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> BaseCache:
        raise OSError("connection refused")

    def flush_then_lose_the_cache(_: float | None) -> FlushReport:
        monkeypatch.setattr(backends, "current", fail)
        return FlushReport()

    a_row()
    monkeypatch.setattr(maintenance_forget, "flush_dirty", flush_then_lose_the_cache)
    with pytest.raises(FlushError, match="cannot be reached"):
        forget([LONDON])
    assert stored() == {LONDON}


def test_forget__database_that_fails_is_a_flush_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OperationalError("gone")

    monkeypatch.setattr(maintenance_forget, "delete_rows", fail)
    with pytest.raises(FlushError, match="the database cannot be written: gone"):
        forget([LONDON])


def test_forget__provider_without_a_build_forgets_nothing(
    provider: DummyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise ProviderError("no database")

    a_row()
    monkeypatch.setattr(provider, "build", fail)
    with pytest.raises(ProviderError):
        forget([LONDON])
    assert stored() == {LONDON}


@pytest.mark.django_db(transaction=True)
def test_forget__a_metered_answer_for_the_network_is_forgotten_too(settings: Any) -> None:
    provider = use_dummy_provider(
        settings, answers={LONDON: {"city": "London", "network": "81.2.69.0/24"}}, is_metered=True
    )
    lookup(LONDON)
    forget([LONDON])
    assert lookup(LONDON).city == "London"
    assert provider.asked == [LONDON, LONDON]
