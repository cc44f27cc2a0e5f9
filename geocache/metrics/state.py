"""What the state of each part is: gauges, made of what ``geocache.status`` has read."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from geocache.blocklists.status import ListOverview, ListState
from geocache.health.findings import find
from geocache.health.work import is_wanted
from geocache.instants import utc_now
from geocache.metrics.families import Metric, Value, counter, gauge, gauges, states
from geocache.models import JobRun
from geocache.status import Status

JOB_STATES: Final = ("done", "nothing_due", "busy", "failed", "disabled", "running", "killed")
LEVELS: Final = ("warning", "critical")


def _provider(status: Status) -> list[Metric]:
    built = [(one.name, one.built_at) for one in status.sources if one.built_at]
    # The oldest comes last, and stands for all of its name.
    built.sort(key=lambda one: one[1].timestamp(), reverse=True)
    return [gauges("source_build_timestamp_seconds", "When it was built.", "source", built)]


def _queries(status: Status) -> list[Metric]:
    def of_each(name: str, text: str, field: str) -> Metric:
        values = ((one.provider, getattr(one, field)) for one in status.usages)
        return gauges(name, text, "provider", values)

    left = "Queries left today, by the quota and by what the service says."
    return [
        of_each("provider_queries_today", "Queries of this day, of UTC.", "asked_count"),
        of_each("provider_daily_quota", "Queries that are allowed in a day.", "limit"),
        of_each("provider_queries_left", left, "left_count"),
    ]


def _cache(status: Status) -> list[Metric]:
    can = "Whether the cache can hold the journal; else new answers go to the table at once."
    return [gauge("cache_holds_journal", can, status.is_journal_possible)]


def _journal(status: Status) -> list[Metric]:
    age = 0.0 if status.pending_count == 0 else status.oldest_pending_seconds
    lost = "Answers that were lost, as neither cache nor database took them."
    return [
        gauge("dirty_entries", "Answers that wait for a flush.", status.pending_count),
        gauge("oldest_dirty_entry_age_seconds", "How long the oldest answer waits.", age),
        counter("unrecorded_answers", lost, status.unrecorded_count),
    ]


def _flushes(status: Status) -> list[Metric]:
    run = status.last_flush
    at, seconds = (run.started_at, run.seconds) if run else (None, None)
    rows, is_failed = (run.flushed, bool(run.error)) if run else (None, None)
    lost = "Records that the cache lost before a flush, in the flushes that are kept."
    return [
        gauge("last_flush_timestamp_seconds", "When the last flush that found work began.", at),
        gauge("last_flush_duration_seconds", "How long that flush took.", seconds),
        gauge("last_flush_rows", "Rows that it wrote.", rows),
        gauge("last_flush_failed", "Whether it failed.", is_failed),
        gauge("rejected_entries", "Entries that the database refused.", status.rejected_count),
        gauge("lost_records", lost, status.lost_record_count),
    ]


def _scheduler(status: Status) -> list[Metric]:
    now, runs = utc_now(), status.job_runs
    is_flushing = "Whether the flush runs regularly, by whatever scheduler."
    ended = "When the last run that has ended did, done or failed."
    found = {one.job: _state(one, now) for one in runs if one.started_at is not None}
    ends = ((run.job, run.finished_at) for run in runs)
    return [
        gauge("flush_scheduled", is_flushing, status.is_flush_scheduled),
        gauges("job_last_end_timestamp_seconds", ended, "job_id", ends),
        states("job_state", "How the last run is.", "job_id", JOB_STATES, found),
    ]


def _state(run: JobRun, now: datetime) -> str:
    """Return how the last run is; no run will make good one of a job that is not wanted."""
    state = run.state(now)
    return "disabled" if state in ("failed", "killed") and not is_wanted(run.job) else state


def _lists(status: Status) -> list[Metric]:
    # Those of the settings: a label for each file that was ever imported would have no bound.
    lists = [one for one in status.lists if one.is_configured]

    def of_each(name: str, text: str, value_of: Callable[[ListOverview], Value]) -> Metric:
        values = ((one.name, value_of(one)) for one in lists)
        return gauges(f"blocklist_{name}", text, "blocklist", values)

    imported = "When it was last imported, or found unchanged."
    overdue = "Whether it was not looked at for two pauses."
    failed = "Whether its last import failed."
    return [
        of_each("entries", "Entries that are listed.", lambda one: one.entry_count),
        of_each("imported_timestamp_seconds", imported, lambda one: one.imported_at),
        of_each("overdue", overdue, lambda one: one.is_overdue),
        of_each("failed", failed, lambda one: one.state == ListState.FAILED),
    ]


def findings(status: Status) -> Metric:
    """Return how many things are wrong by the judgement of the health page and status_geo."""
    found = [one.level for one in find(status, utc_now())]
    text = "What is wrong by the judgement of the health page and status_geo --check."
    return gauges("findings", text, "level", ((one, found.count(one)) for one in LEVELS))


# By the names that they have in ``status``. A family without a value has no sample.
PARTS: Final[dict[str, Callable[[Status], list[Metric]]]] = {
    "provider": _provider,
    "queries": _queries,
    "cache": _cache,
    "journal": _journal,
    "flushes": _flushes,
    "scheduler": _scheduler,
    "lists": _lists,
}
