"""The state of geocache for Prometheus, read when it is scraped.

It is in the database and in the cache, so that each process gives the same figures.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias, TypeVar
from weakref import WeakSet

from django.db import connections

from geocache import extras
from geocache.instants import utc_now
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.models.connection import DATABASE_ERRORS
from geocache.statistics.table import Snapshot, read_statistics
from geocache.status import Status, read_status
from geocache.text import first_line

with extras.needed("metrics"):
    from prometheus_client import core

log = get_logger(__name__)
unexpected: Final = LogThrottle(seconds=60)

JOB_STATES: Final = ("done", "nothing_due", "busy", "failed", "disabled", "running", "killed")
Metric: TypeAlias = core.Metric
Value: TypeAlias = float | datetime | None
T = TypeVar("T")

_registered: Final = WeakSet[core.CollectorRegistry]()


def register(registry: core.CollectorRegistry = core.REGISTRY) -> None:
    """Have ``registry`` collect the state: once, however often this is called. Reads nothing."""
    if registry not in _registered:
        registry.register(GeocacheCollector())
        _registered.add(registry)


class GeocacheCollector:
    """Collect the state; never raises. What cannot be read is left out, and its part is not up."""

    def describe(self) -> list[Metric]:
        """Return the families without samples: a registry would scrape to know their names."""
        families = [family for make in PARTS.values() for family in make(Status())]
        return [*families, *_table(None), _parts_up({})]

    def collect(self) -> list[Metric]:
        """Return the families that have samples."""
        with _connections_left_as_found():
            found = _read_parts()
        families = [family for one in found.values() for family in one or () if family.samples]
        return [*families, _parts_up({part: one is not None for part, one in found.items()})]


def _read_parts() -> dict[str, list[Metric] | None]:
    """Return the families of each part, None of one that cannot be read."""
    status = _attempt(lambda: read_status(is_counting_rows=False))
    found: dict[str, list[Metric] | None] = dict.fromkeys([*PARTS, "table"])
    for part, make in PARTS.items():
        if status is not None and part not in status.failed_parts:
            found[part] = _attempt(partial(make, status))
    # Without the database, a second attempt to reach it may take as long as the first.
    if found["flushes"] is not None:
        found["table"] = _attempt(lambda: _table(read_statistics()))
    return found


def _attempt(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - it would take the host's own metrics with it
        if unexpected.is_due():
            log.warning("geo_metrics_failed", error=first_line(error))
        return None


@contextmanager
def _connections_left_as_found() -> Iterator[None]:
    """Close what is opened here: prometheus_client's server has a thread for each scrape."""
    open_before = _open_aliases()
    try:
        yield
    finally:
        for alias in _open_aliases() - open_before:
            with suppress(*DATABASE_ERRORS):
                connections[alias].close()


def _open_aliases() -> set[str]:
    every = connections.all(initialized_only=True)
    return {one.alias for one in every if one.connection is not None}


def _gauge(name: str, text: str, value: Value) -> Metric:
    return core.GaugeMetricFamily(f"geocache_{name}", text, _number(value), unit=_unit(name))


def _gauges(name: str, text: str, label: str, values: Iterable[tuple[str, Value]]) -> Metric:
    family = core.GaugeMetricFamily(f"geocache_{name}", text, labels=[label], unit=_unit(name))
    # Of several with one name the last: a sample that is there twice makes a scrape invalid.
    for key, value in dict(values).items():
        if (number := _number(value)) is not None:
            family.add_metric([key], number)
    return family


def _unit(name: str) -> str:
    return "seconds" if name.endswith("_seconds") else ""


def _number(value: Value) -> float | None:
    return value.timestamp() if isinstance(value, datetime) else value


def _parts_up(is_up: dict[str, bool]) -> Metric:
    return _gauges("part_up", "Whether a part could be read.", "part", is_up.items())


def _journal(status: Status) -> list[Metric]:
    age = 0.0 if status.pending_count == 0 else status.oldest_pending_seconds
    lost = "Answers that were lost, as neither cache nor database took them."
    return [
        _gauge("dirty_entries", "Answers that wait for a flush.", status.pending_count),
        _gauge("oldest_dirty_entry_age_seconds", "How long the oldest answer waits.", age),
        core.CounterMetricFamily("geocache_unrecorded_answers", lost, status.unrecorded_count),
    ]


def _flushes(status: Status) -> list[Metric]:
    run = status.last_flush
    at, seconds = (run.started_at, run.seconds) if run else (None, None)
    rows, is_failed = (run.flushed, bool(run.error)) if run else (None, None)
    lost = "Records that the cache lost before a flush, in the flushes that are kept."
    return [
        _gauge("last_flush_timestamp_seconds", "When the last flush that found work began.", at),
        _gauge("last_flush_duration_seconds", "How long that flush took.", seconds),
        _gauge("last_flush_rows", "Rows that it wrote.", rows),
        _gauge("last_flush_failed", "Whether it failed.", is_failed),
        _gauge("rejected_entries", "Entries that the database refused.", status.rejected_count),
        _gauge("lost_records", lost, status.lost_record_count),
    ]


def _scheduler(status: Status) -> list[Metric]:
    now, runs = utc_now(), status.job_runs
    is_flushing = "Whether the flush runs regularly, by whatever scheduler."
    states = core.StateSetMetricFamily("geocache_job_state", "How the last run is.", labels=["job"])
    for run in runs:
        if run.started_at is not None:
            state = run.state(now)
            states.add_metric([run.job], {one: one == state for one in JOB_STATES})
    ends = ((run.job, run.finished_at) for run in runs)
    ended = "When the last run that has ended did, done or failed."
    return [
        _gauge("flush_scheduled", is_flushing, status.is_flush_scheduled),
        _gauges("job_last_end_timestamp_seconds", ended, "job", ends),
        states,
    ]


def _provider(status: Status) -> list[Metric]:
    built = [(one.name, one.built_at) for one in status.sources if one.built_at]
    # The oldest comes last, and stands for all of its name.
    built.sort(key=lambda one: one[1].timestamp(), reverse=True)
    return [_gauges("source_build_timestamp_seconds", "When it was built.", "source", built)]


def _queries(status: Status) -> list[Metric]:
    def gauges(name: str, text: str, field: str) -> Metric:
        values = ((one.provider, getattr(one, field)) for one in status.usages)
        return _gauges(name, text, "provider", values)

    left = "Queries left today, by the quota and by what the service says."
    return [
        gauges("provider_queries_today", "Queries of this day, of UTC.", "asked_count"),
        gauges("provider_daily_quota", "Queries that are allowed in a day.", "limit"),
        gauges("provider_queries_left", left, "left_count"),
    ]


def _lists(status: Status) -> list[Metric]:
    # Those of the settings: a label for each file that was ever imported would have no bound.
    lists = [one for one in status.lists if one.is_configured]
    counts = ((one.name, one.entry_count) for one in lists)
    times = ((one.name, one.imported_at) for one in lists)
    imported = "When it was last imported, or found unchanged."
    return [
        _gauges("blocklist_entries", "Entries that are listed.", "blocklist", counts),
        _gauges("blocklist_imported_timestamp_seconds", imported, "blocklist", times),
    ]


def _table(counted: Snapshot | None) -> list[Metric]:
    count, at = (counted.row_count, counted.made_at) if counted else (None, None)
    return [
        _gauge("rows", "Rows of the table, as counted after a flush.", count),
        _gauge("rows_counted_timestamp_seconds", "When the rows were counted.", at),
    ]


# By the names that they have in ``status``. A family without a value has no sample.
PARTS: Final[dict[str, Callable[[Status], list[Metric]]]] = {
    "provider": _provider,
    "queries": _queries,
    "journal": _journal,
    "flushes": _flushes,
    "scheduler": _scheduler,
    "lists": _lists,
}
