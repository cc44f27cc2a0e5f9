import time
from typing import Any

import pytest
from django.db import OperationalError
from prometheus_client import CollectorRegistry

from geocache import counters, site_counters
from geocache.cache import backends
from geocache.instants import utc_now
from geocache.jobs import run_job, work
from geocache.journal import table_writer
from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup, lookup_many
from geocache.lookup.memory import memory
from geocache.metrics import counted
from geocache.metrics.labels import Labels
from geocache.models import JobRun
from geocache.providers.chain import ChainProvider
from tests.factories import LONDON, MOSCOW_V6, NOON, a_row, use_dummy_provider

pytestmark = [pytest.mark.django_db, pytest.mark.cache_decides]
DUMMY = "geocache.providers.dummy.DummyProvider"
NETWORK = {"country_code": "GB", "network": "81.2.69.0/24"}


class OfCounters:
    """The families of counters alone."""

    def collect(self) -> Any:
        return counted.of_each(counted.read())


def samples() -> dict[tuple[str, ...], float]:
    """Return what is not 0, by name without prefix and the values of the labels."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(OfCounters())
    return {
        (one.name.removeprefix("geocache_"), *one.labels.values()): one.value
        for family in registry.collect()
        for one in family.samples
        if one.value
    }


def tiers() -> dict[str, float]:
    return {key[1]: value for key, value in samples().items() if key[0] == "lookups_total"}


def test_lookups__new_then_hot_and_special(settings: Any) -> None:
    use_dummy_provider(settings)
    lookup(LONDON)
    assert tiers() == {"provider": 1}
    lookup(LONDON)
    memory.clear()
    lookup(LONDON)
    lookup("10.0.0.1")
    assert tiers() == {"provider": 1, "hot_entry": 1, "special": 1}
    memory.clear()
    lookup_many([LONDON, MOSCOW_V6, "10.0.0.1", "::1"])
    assert tiers() == {"provider": 2, "hot_entry": 2, "special": 3}


def test_lookups__of_a_metered_provider_each_is_counted_once(settings: Any) -> None:
    use_dummy_provider(settings, answers={LONDON: NETWORK}, is_metered=True)
    now = utc_now()
    a_row("8.8.8.8", network="", resolved_at=now)
    a_row("9.9.9.9", network="9.9.9.0/24", resolved_at=now)
    addresses = ["8.8.8.8", "9.9.9.1", LONDON, "81.2.69.7", "1.1.1.1", "1.1.1.1", "127.0.0.1"]
    lookup_many(addresses)
    found = tiers()
    assert found == {"row": 1, "network": 2, "provider": 2, "special": 1}
    assert sum(found.values()) == len(set(addresses))


def test_lookups__what_another_process_has_found_out_meanwhile_is_shared(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geocache.lookup import hot_entries, network_cache  # noqa: PLC0415 - for this test alone

    provider = use_dummy_provider(settings, is_metered=True)
    lookup(LONDON)
    memory.clear()
    # As if it had come between the look and the lock.
    monkeypatch.setattr(hot_entries, "get", lambda *_: None)
    monkeypatch.setattr(network_cache, "_from_rows", lambda _: network_cache.Known())
    near, calls = hot_entries.get_near, []

    def get_near(*given: Any) -> Any:
        calls.append(given)
        return {} if len(calls) == 1 else near(*given)

    monkeypatch.setattr(hot_entries, "get_near", get_near)
    lookup(LONDON)
    assert provider.asked == [LONDON]
    assert tiers() == {"provider": 1, "shared": 1}


def test_lookups__a_provider_that_fails(settings: Any) -> None:
    use_dummy_provider(settings, is_failing=True)
    a_row(LONDON)
    lookup_many([LONDON, MOSCOW_V6])
    lookup(MOSCOW_V6)
    assert tiers() == {"old_row": 1, "unavailable": 2}
    found = samples()
    assert found["provider_queries_total", "DummyProvider"] == 3
    assert found["provider_failures_total", "DummyProvider"] == 3
    assert found["provider_call_duration_seconds_count", "DummyProvider"] == 2


def test_provider__a_metered_one_is_named_by_its_service(settings: Any) -> None:
    use_dummy_provider(settings, is_metered=True, name="Service")
    lookup_many([LONDON, MOSCOW_V6])
    found = samples()
    assert found["provider_queries_total", "Service 1"] == 2
    assert ("provider_failures_total", "Service 1") not in found
    assert found["provider_call_duration_seconds_count", "Service 1"] >= 1
    assert found["provider_call_duration_seconds_sum", "Service 1"] < 1


def test_provider__each_of_a_chain_is_counted_and_its_breaker(settings: Any) -> None:
    chain = [
        {"BACKEND": DUMMY, "OPTIONS": {"name": "Paid", "is_metered": True, "is_failing": True}},
        {"BACKEND": DUMMY, "OPTIONS": {"answers": {LONDON: NETWORK, MOSCOW_V6: NETWORK}}},
    ]
    provider = {
        "BACKEND": "geocache.providers.chain.ChainProvider",
        "OPTIONS": {"providers": chain},
    }
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": provider}
    lookup(LONDON)
    lookup(MOSCOW_V6)
    found = samples()
    # The second time it was left alone.
    assert found["provider_queries_total", "Paid 1"] == 1
    assert found["provider_failures_total", "Paid 1"] == 1
    assert found["provider_queries_total", "DummyProvider"] == 2
    assert found["circuit_breaker_openings_total", "Paid 1"] == 1
    assert found["circuit_breaker_open", "Paid 1"] == 1
    assert tiers() == {"provider": 2}


def test_labels__are_those_of_the_settings(settings: Any) -> None:
    inner = {"BACKEND": "geocache.providers.chain.ChainProvider"}
    inner["OPTIONS"] = {"providers": [{"BACKEND": DUMMY}]}  # type: ignore[assignment]  # a dict
    chain = ChainProvider([{"BACKEND": DUMMY, "OPTIONS": {"is_metered": True}}, inner])
    assert [one.label for one in chain.members] == ["Dummy 1", "ChainProvider"]
    use_dummy_provider(settings)
    assert Labels.of_settings() == Labels(("DummyProvider",), ("cache",))
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": {"BACKEND": "no.such"}}
    assert Labels.of_settings() == Labels((), ("cache",))


def test_breaker__a_provider_s_is_open_for_all_processes_the_cache_s_for_its_own() -> None:
    until = round(time.time()) + 60
    backend = backends.current()
    series = counters.BREAKER_OPEN_UNTIL, "cache"
    backend.set(site_counters.key(series), until, timeout=None)
    assert samples()["circuit_breaker_open", "cache"] == 1
    backend.set(site_counters.key(series), until - 120, timeout=None)
    assert ("circuit_breaker_open", "cache") not in samples()


def test_flushes__rows_and_seconds_add_up(settings: Any) -> None:
    use_dummy_provider(settings)
    lookup_many([LONDON, MOSCOW_V6])
    flush_dirty()
    flush_dirty()
    found = samples()
    assert found["flushes_total", "done"] == 2
    assert found["flushed_rows_total",] == 2
    assert 0 < found["flush_seconds_total",] < 60


def test_flushes__what_was_lost_and_refused() -> None:
    counters.count(counters.LOST, 2)
    counters.count(counters.REJECTED, 3)
    found = samples()
    assert found["records_lost_total",] == 2
    assert found["rejected_answers_total",] == 3


def test_recorder__written_through_and_spilled(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_dummy_provider(settings)
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    }
    lookup(LONDON)
    assert counters.totals()[counters.WRITTEN_THROUGH] == 1

    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as away:
        away.setattr(table_writer, "write", refuse)
        lookup(MOSCOW_V6)
        lookup("8.8.8.8")
    totals = counters.totals()
    assert totals[counters.SPILLED] == 2
    lookup("9.9.9.9")
    totals = counters.totals()
    assert totals[counters.SPILLED] == 2
    assert totals[counters.WRITTEN_THROUGH] == 4


def test_jobs__runs_and_the_last_success(monkeypatch: pytest.MonkeyPatch) -> None:
    run_job("geo_cache_flush")
    (done,) = counted.last_successes({}, tuple(JobRun.last_runs().values())).samples
    assert done.value == JobRun.of("geo_cache_flush").finished_at.timestamp()  # type: ignore[union-attr]  # has ended

    def fail(_: object) -> None:
        raise OSError("no")

    monkeypatch.setitem(work.WORK, "geo_cache_flush", fail)
    run_job("geo_cache_flush")
    found = samples()
    assert found["job_runs_total", "geo_cache_flush", "done"] == 1
    assert found["job_runs_total", "geo_cache_flush", "failed"] == 1
    assert ("job_seconds_total", "geo_cache_flush") in found
    # What the last run no longer tells.
    (last,) = counted.last_successes(counted.read(), tuple(JobRun.last_runs().values())).samples
    assert last.labels == {"job_id": "geo_cache_flush"}
    assert abs(last.value - done.value) <= 1


def test_jobs__what_a_job_has_counted_is_sent_at_its_end(settings: Any) -> None:
    use_dummy_provider(settings)
    lookup(LONDON)
    run_job("geo_cache_flush")
    assert site_counters.read([counters.PROVIDER]) == {counters.PROVIDER: 1}


def test_last_successes__a_job_that_never_ran_has_none() -> None:
    JobRun.objects.create(job="geo_prune", started_at=NOON, status="failed", finished_at=NOON)
    assert not counted.last_successes({}, tuple(JobRun.last_runs().values())).samples
