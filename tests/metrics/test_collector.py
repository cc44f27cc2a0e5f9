import asyncio
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import prometheus_client
import pytest
from django.db import OperationalError, connection, connections
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

from geocache import status, under_test
from geocache.cache import backends
from geocache.instants import utc_now
from geocache.integrations.prometheus import register
from geocache.jobs import Status as JobStatus
from geocache.journal import writer
from geocache.lookup import lookup_many
from geocache.metrics import collector, reading, state
from geocache.metrics.collector import GeocacheCollector
from geocache.models import FlushRun, JobRun, RejectedEntry
from geocache.providers import factory
from geocache.providers.base import Source
from geocache.providers.dummy import DummyProvider
from geocache.statistics.table import refresh_statistics
from tests.factories import LONDON, MOSCOW_V6, NOON, a_location, a_row, use_dummy_provider
from tests.support.assertions import WRITES
from tests.support.blocklists import imported
from tests.support.documents import examples
from tests.support.processes import ROOT

pytestmark = pytest.mark.django_db
# A sample that each part has in a full site.
OF_PART = {
    "provider": "source_build_timestamp_seconds",
    "queries": "provider_queries_today",
    "journal": "dirty_entries",
    "flushes": "last_flush_rows",
    "scheduler": "job_state",
    "lists": "blocklist_entries",
    "table": "rows",
    "cache": "cache_holds_journal",
    "bans": "bans",
    "counters": "lookups_total",
}
# It is up, and has no sample of its own.
PARTS = {*OF_PART, "database"}
STORED = {"journal", "flushes", "scheduler", "lists", "table", "bans", "database"}
Samples = dict[tuple[str, str], float]


def a_registry() -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=True)
    register(registry)
    return registry


def families() -> dict[str, Metric]:
    """Scrape; the parser refuses what is not OpenMetrics."""
    text = openmetrics(a_registry()).decode()
    return {family.name: family for family in parsed(text)}


def scraped() -> Samples:
    """Return the values by name without prefix, and the labels."""
    return {
        (
            sample.name.removeprefix("geocache_"),
            " ".join(sorted(sample.labels.values())),
        ): sample.value
        for family in families().values()
        for sample in family.samples
    }


def parts_that_are(found: Samples, value: int) -> set[str]:
    return {part for (name, part), is_up in found.items() if name == "part_up" and is_up == value}


def parts_without_samples(found: Samples) -> set[str]:
    names = {name for name, _ in found}
    return {part for part, name in OF_PART.items() if name not in names}


def failing(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


class Named(DummyProvider):
    def __init__(self, sources: list[Source]) -> None:
        super().__init__()
        self.named = sources

    def sources(self) -> list[Source]:
        return self.named


def a_flush(error: str = "") -> FlushRun:
    return FlushRun.objects.create(
        started_at=NOON,
        seconds=0.5,
        flushed=3,
        rejected=1,
        lost=2,
        pending=0,
        timed_out=False,
        error=error,
    )


@pytest.fixture
def full(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """State in each part."""
    use_dummy_provider(settings, is_metered=True, queries_per_day=10)
    monkeypatch.setattr(DummyProvider, "sources", lambda _: [Source(name="City", built_at=NOON)])
    lists = {"test": "/srv/test.txt", "never": "/srv/never.txt"}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": lists}
    lookup_many([LONDON, MOSCOW_V6])
    a_row()
    refresh_statistics(NOON)
    a_flush()
    RejectedEntry.objects.create(record="?", error="?")
    JobRun.objects.create(
        job="geo_cache_flush", started_at=NOON, finished_at=NOON, status="done", seconds=1
    )
    imported("1.1.1.1", "2.2.2.2")
    imported("1.1.1.1", name="by hand")
    JobRun.objects.create(job="geo_prune")


@pytest.mark.usefixtures("full")
def test_scrape__has_the_state_of_each_part() -> None:
    found = scraped()
    at = NOON.timestamp()
    expected = {
        # Two look-ups, and two entries of the list.
        ("dirty_entries", ""): 4,
        ("unrecorded_answers_total", ""): 0,
        ("last_flush_timestamp_seconds", ""): at,
        ("last_flush_duration_seconds", ""): 0.5,
        ("last_flush_rows", ""): 3,
        ("last_flush_failed", ""): 0,
        ("rejected_entries", ""): 1,
        ("lost_records", ""): 2,
        ("flush_scheduled", ""): utc_now() - NOON < timedelta(hours=2),
        ("job_last_end_timestamp_seconds", "geo_cache_flush"): at,
        ("job_state", "done geo_cache_flush"): 1,
        ("job_state", "failed geo_cache_flush"): 0,
        ("source_build_timestamp_seconds", "City"): at,
        ("provider_queries_today", "City"): 4,
        ("provider_daily_quota", "City"): 10,
        ("provider_queries_left", "City"): 6,
        ("blocklist_entries", "test"): 2,
        ("rows", ""): 1,
        ("rows_counted_timestamp_seconds", ""): at,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert 0 <= found["oldest_dirty_entry_age_seconds", ""] < 3600
    assert found["blocklist_imported_timestamp_seconds", "test"] > at
    assert parts_that_are(found, 1) == PARTS
    # It waits for its first run.
    assert not [one for one in found if "geo_prune" in one[1] and not one[0].endswith("_total")]


def test_scrape__of_an_empty_site_is_valid_and_invents_nothing() -> None:
    found = scraped()
    assert found["dirty_entries", ""] == found["oldest_dirty_entry_age_seconds", ""] == 0
    assert ("last_flush_timestamp_seconds", "") not in found
    assert ("rows", "") not in found
    assert found["bans", ""] == found["lookups_total", "provider"] == 0
    assert parts_that_are(found, 0) == set()
    assert all(family.samples for family in families().values())


@pytest.mark.usefixtures("full")
def test_scrape__a_name_that_ends_in_seconds_has_the_unit() -> None:
    in_seconds = {name for name in families() if name.endswith("_seconds")}
    assert len(in_seconds) == 11
    assert in_seconds == {name for name, family in families().items() if family.unit == "seconds"}


def test_scrape__says_how_long_the_oldest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    writer.append([a_location(LONDON)])
    monkeypatch.setattr(status, "utc_now", lambda: NOON + timedelta(seconds=90))
    assert scraped()["oldest_dirty_entry_age_seconds", ""] == 90


def test_scrape__a_failed_flush() -> None:
    a_flush(error="the disk is full")
    assert scraped()["last_flush_failed", ""] == 1


def test_scrape__a_job_that_failed_and_is_not_wanted_any_more_is_disabled(settings: Any) -> None:
    now = utc_now()
    JobRun.objects.create(job="geo_bans", status="failed", started_at=now, finished_at=now)
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": None}
    assert scraped()["job_state", "disabled geo_bans"] == 1
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": {"BACKEND": "any.Action"}}
    assert scraped()["job_state", "failed geo_bans"] == 1


@pytest.mark.usefixtures("full")
def test_scrape__lists_without_bound_have_no_label() -> None:
    labels = {label for name, label in scraped() if name.startswith("blocklist_")}
    assert labels == {"test", "never"}


def test_scrape__of_databases_of_one_name_the_oldest_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newer = (NOON + timedelta(days=9)).replace(tzinfo=None)
    moments = (NOON + timedelta(days=1), NOON, newer)
    sources = [Source(name='A "City"\n', built_at=at) for at in moments] + [Source(name="Service")]
    monkeypatch.setattr(factory, "current", lambda: Named(sources))
    text = openmetrics(a_registry()).decode()
    assert text.count("geocache_source_build_timestamp_seconds{") == 1
    found = scraped()
    assert found["source_build_timestamp_seconds", 'A "City"\n'] == NOON.timestamp()
    assert ("source_build_timestamp_seconds", "Service") not in found


def test_job_states__are_all_that_a_run_can_have() -> None:
    assert set(state.JOB_STATES) == {*get_args(JobStatus), "running", "killed"}


@pytest.mark.parametrize("part", OF_PART)
@pytest.mark.usefixtures("full")
def test_scrape__a_part_that_cannot_be_read_hides_nothing_else(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("UNSTORED_PARTS", "STORED_PARTS"):
        readers = [
            (name, failing(ValueError("no")) if name == part else read)
            for name, read in getattr(status, kind)
        ]
        monkeypatch.setattr(status, kind, readers)
    if part in reading.OWN_PARTS:
        monkeypatch.setitem(reading.OWN_PARTS, part, failing(OperationalError("no")))
    found = scraped()
    # Where the counters cannot be read, the cache cannot.
    expected = {part, "cache"} if part == "counters" else {part}
    assert parts_that_are(found, 0) == expected
    assert parts_without_samples(found) == expected


@pytest.mark.parametrize("part", [*state.PARTS, *collector.OWN_PARTS])
@pytest.mark.usefixtures("full")
def test_scrape__a_part_that_cannot_be_shown_hides_nothing_else(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    collector.unexpected.reset()
    makers = state.PARTS if part in state.PARTS else collector.OWN_PARTS
    monkeypatch.setitem(makers, part, failing(TypeError("no number\nat all")))
    for _ in range(2):
        up = {one.labels["part"]: one.value for one in GeocacheCollector().collect()[-1].samples}
        assert not up[part]
        assert up.keys() == PARTS
    assert caplog.text.count("geo_metrics_failed") == 1
    assert "no number" in caplog.text


@pytest.mark.usefixtures("full")
def test_scrape__without_the_database_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", failing(OperationalError("away")))
    with CaptureQueriesContext(connection) as queries:
        found = scraped()
    assert parts_that_are(found, 0) == STORED
    assert parts_without_samples(found) == STORED - {"database"}
    assert len(queries) == 0


class NotMade(DummyProvider):
    """Its class raises what nothing here expects."""

    made_count = 0

    def __init__(self) -> None:
        type(self).made_count += 1
        raise RuntimeError("no licence")


def test_scrape__a_provider_that_cannot_be_made_hides_nothing_else(settings: Any) -> None:
    provider = {"BACKEND": "tests.metrics.test_collector.NotMade"}
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": provider}
    registry = CollectorRegistry(auto_describe=True)
    register(registry)
    assert not NotMade.made_count
    found = scraped()
    assert {"provider"} <= parts_that_are(found, 0) <= {"provider", "queries"}
    assert found["flush_seconds_total", ""] == 0


@pytest.mark.usefixtures("full")
def test_scrape__without_the_cache_the_rest_is_there(settings: Any) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    redis = {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1"}
    settings.CACHES = {**settings.CACHES, "geocache": redis}
    found = scraped()
    assert parts_that_are(found, 0) == {"cache", "journal", "queries", "counters"}
    # A counter that is not there is no counter that begins again.
    assert ("lookups_total", "provider") not in found


def test_scrape__where_nothing_can_be_read_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("UNSTORED_PARTS", "STORED_PARTS"):
        readers = [(name, failing(RuntimeError("no"))) for name, _ in getattr(status, kind)]
        monkeypatch.setattr(status, kind, readers)
    for part in reading.OWN_PARTS:
        monkeypatch.setitem(reading.OWN_PARTS, part, failing(RuntimeError("no")))
    monkeypatch.setattr(status, "database_problem", lambda: "a router of the host")
    found = scraped()
    assert parts_that_are(found, 0) == PARTS
    names = {name for name, _ in found}
    assert names == {"part_up", "build_info", "findings", "settings_changed"}


def test_scrape__in_an_event_loop_is_no_error() -> None:
    async def scrape() -> Samples:
        return scraped()

    assert parts_that_are(asyncio.run(scrape()), 0) >= STORED - {"database"}


@pytest.mark.usefixtures("full")
def test_scrape__asks_few_queries_counts_no_answers_and_writes_nothing() -> None:
    registry = a_registry()
    with CaptureQueriesContext(connection) as queries:
        generate_latest(registry)
    asked = [query["sql"] for query in queries]
    assert len(asked) <= 12, asked
    assert not [one for one in asked if one.lstrip().startswith(WRITES)]
    for large in ("geocache_geocache", "listedaddress", "answerhistory"):
        assert not [one for one in asked if large in one.split("WHERE")[0] and "COUNT" in one]


@pytest.mark.django_db(transaction=True)
def test_scrape__outside_of_tests_opens_no_connection_in_the_callers_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(under_test, "is_this_process", lambda: False)
    current = backends.current()
    monkeypatch.setattr(backends, "current", lambda: current)
    opened: list[bool] = []

    def scrape() -> None:
        scraped()
        opened.append(connections["default"].connection is not None)

    thread = threading.Thread(target=scrape)
    thread.start()
    thread.join()
    assert opened == [False]


def test_register__reads_nothing_and_is_done_once(django_assert_num_queries: Any) -> None:
    registry = CollectorRegistry(auto_describe=True)
    with django_assert_num_queries(0):
        register(registry)
        register(registry)
    assert generate_latest(registry).decode().count("# TYPE geocache_part_up gauge") == 1


def test_register__names_all_that_is_collected() -> None:
    described = {one.name for one in GeocacheCollector().describe()}
    assert {one.name for one in GeocacheCollector().collect()} <= described
    restricted = a_registry().restricted_registry(["geocache_dirty_entries"])
    assert [one.name for one in restricted.collect()] == ["geocache_dirty_entries"]


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(code, "metrics.md", "exec"), names)
    return names


@pytest.mark.usefixtures("full")
def test_docs__view(rf: RequestFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    view, _ = examples("metrics.md", "In a registry of the project", "python")
    monkeypatch.setattr(prometheus_client, "REGISTRY", CollectorRegistry(auto_describe=True))
    response = run(view)["metrics"](rf.get("/metrics"))
    assert response["Content-Type"].startswith("text/plain")
    assert "geocache_rows 1.0" in response.text


@pytest.mark.usefixtures("full")
def test_docs__several_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    _, code = examples("metrics.md", "In a registry of the project", "python")
    figures = run(code)["figures_of_all_workers"]
    for _ in range(2):
        assert b"geocache_rows 1.0" in figures()


def test_integration__without_prometheus_client_is_one_clear_line() -> None:
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "import django; django.setup(); import geocache.integrations.prometheus"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    said = 'prometheus_client is not installed; install geocache with the extra "metrics"'
    assert said in done.stderr.splitlines()[-1]
