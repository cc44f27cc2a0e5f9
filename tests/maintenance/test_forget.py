from typing import Any

import pytest
from django.core.cache.backends.base import BaseCache
from django.db import OperationalError

from geocache.cache import backends
from geocache.exceptions import FlushError, ProviderError
from geocache.journal import flush, reader, writer
from geocache.journal.flush import FlushReport, flush_dirty
from geocache.location import Location
from geocache.lookup import hot_entries, lookup, lookup_many
from geocache.maintenance import forget as maintenance_forget
from geocache.maintenance.forget import forget
from geocache.models import GeoCache
from geocache.providers import factory
from geocache.providers.dummy import DummyProvider
from tests.factories import LONDON, MOSCOW_V6, a_row, many_locations, use_dummy_provider

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


def test_forget__flusher_at_work_is_waited_for_and_then_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_row()
    monkeypatch.setattr(maintenance_forget, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(maintenance_forget, "flush_dirty", lambda _: FlushReport())
    with reader.lock(60), pytest.raises(FlushError, match="another flush is under way"):
        forget([LONDON])
    assert stored() == {LONDON}


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
    with pytest.raises(FlushError, match="connection refused"):
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
