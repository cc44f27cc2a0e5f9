"""The state of all parts of geocache, read one by one and without writing to the database."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.models import Sum

from geocache import conf
from geocache.blocklists.status import BanOverview, ListOverview, read_bans, read_lists
from geocache.cache import backends
from geocache.cache.guard import guarded
from geocache.exceptions import CacheUnavailable, ProviderError
from geocache.instants import utc_now
from geocache.journal import spill_buffer
from geocache.journal.backlog import read_backlog
from geocache.locks.process_identity import describe
from geocache.models import FlushRun, GeoCache, JobRun, RejectedEntry, SchedulerLease
from geocache.models.connection import DATABASE_ERRORS, writing_connection
from geocache.providers import factory, quota
from geocache.providers.base import Source
from geocache.providers.quota import Usage
from geocache.text import first_line

# A database of places is old when so many addresses have moved that one should fetch a newer one.
OLD_DAYS: Final = 90
# A flush within this time shows that something flushes regularly, if only cron each hour.
RECENT_FLUSH: Final = timedelta(hours=2)
MISSED_INTERVALS: Final = 3
UNMIGRATED: Final = "the database is not migrated; run manage.py migrate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of all parts; None where one could not be read, and ``problems`` then says why."""

    pending_count: int | None = None
    oldest_pending_seconds: float | None = None
    last_flush: FlushRun | None = None
    row_count: int | None = None
    rejected_count: int | None = None
    # Records that the cache lost before a flush, in the runs that are kept.
    lost_record_count: int | None = None
    # Answers that neither cache nor database took.
    unrecorded_count: int | None = None
    sources: tuple[Source, ...] = ()
    # What may be wrong with their set-up.
    doubts: tuple[str, ...] = ()
    # Of today, one for each metered provider.
    usages: tuple[Usage, ...] = ()
    cache_backend: str = ""
    is_journal_possible: bool | None = None
    database_vendor: str = ""
    is_scheduler_alive: bool | None = None
    scheduler_holder: str = ""
    # The last run of each job that has run, whatever scheduler started it.
    job_runs: tuple[JobRun, ...] = ()
    # Whether the flush runs regularly, be it by cron, Celery or our scheduler.
    is_flush_scheduled: bool | None = None
    lists: tuple[ListOverview, ...] = ()
    # None as well where nothing is banned and nothing shall be.
    bans: BanOverview | None = None
    problems: tuple[str, ...] = ()
    # The names of the parts that could not be read.
    failed_parts: tuple[str, ...] = ()

    @property
    def is_scheduler_missing(self) -> bool:
        """Tell whether one should be started: nothing flushes what waits, or nothing ever did."""
        if self.is_flush_scheduled is not False:
            return False
        return self.last_flush is None or self.pending_count != 0

    def to_plain(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {
            "pending": self.pending_count,
            "oldest_pending_seconds": self.oldest_pending_seconds,
            "last_flush": None if self.last_flush is None else _plain_run(self.last_flush),
            "rows": self.row_count,
            "rejected": self.rejected_count,
            "lost_records": self.lost_record_count,
            "unrecorded": self.unrecorded_count,
            "sources": [plain_source(source) for source in self.sources],
            "doubts": list(self.doubts),
            "queries": [_plain_usage(usage) for usage in self.usages],
            "cache": {"backend": self.cache_backend, "holds_journal": self.is_journal_possible},
            "database": self.database_vendor,
            "scheduler": {"is_alive": self.is_scheduler_alive, "holder": self.scheduler_holder},
            "jobs": [_plain_job(run) for run in self.job_runs],
            "is_flush_scheduled": self.is_flush_scheduled,
            "lists": [one.to_plain() for one in self.lists],
            "bans": msgspec.to_builtins(self.bans),
            "problems": list(self.problems),
        }


def read_status(at: datetime | None = None, *, is_counting_rows: bool = True) -> Status:
    """Return the state at ``at`` (now). A part that cannot be read is a problem, never an error.

    To count rows and bans takes seconds when there are millions; whoever cannot wait goes without.
    """
    at = at or utc_now()
    fields: dict[str, Any] = {"database_vendor": writing_connection().vendor}
    database = database_problem()
    problems = [database] if database else []
    stored = [*STORED_PARTS, *(COUNTED_PARTS if is_counting_rows else ())]
    failed = [name for name, _ in stored] if database else []
    for name, read in [*UNSTORED_PARTS, *([] if database else stored)]:
        try:
            fields |= read(at)
        except Exception as error:  # noqa: BLE001 - one part's failure must not hide the others
            problems.append(f"{name}: {first_line(error)}")
            failed.append(name)
    return Status(**fields, problems=tuple(problems), failed_parts=tuple(failed))


def database_problem() -> str:
    """Return why the database cannot be used, in one line, or the empty text."""
    wanted: dict[str, set[str]] = {}
    for model in apps.get_app_config("geocache").get_models():
        for alias in {router.db_for_read(model), router.db_for_write(model)}:
            wanted.setdefault(alias, set()).add(model._meta.db_table)
    for alias, tables in wanted.items():
        try:
            missing = tables.difference(connections[alias].introspection.table_names())
        except DATABASE_ERRORS as error:
            return f"the database cannot be reached: {first_line(error)}"
        if missing:
            return UNMIGRATED if alias == DEFAULT_DB_ALIAS else f"{UNMIGRATED} --database {alias}"
    return ""


def is_old(source: Source, at: datetime | None = None) -> bool:
    """Tell whether many of the answers from ``source`` will be wrong by now."""
    days = source.age_days(at)
    return days is not None and days > OLD_DAYS


def plain_source(source: Source) -> dict[str, Any]:
    """Return a source with its age as plain JSON types."""
    return {
        "name": source.name,
        "built_at": source.built_at.isoformat() if source.built_at else None,
        "age_days": source.age_days(),
        "is_old": is_old(source),
        "is_fallback": source.is_fallback,
        "attribution": source.attribution,
    }


def _plain_run(run: FlushRun) -> dict[str, Any]:
    return {
        "started_at": run.started_at.isoformat(),
        "flushed": run.flushed,
        "rejected": run.rejected,
        "seconds": run.seconds,
        "error": run.error,
    }


def _plain_job(run: JobRun) -> dict[str, Any]:
    return {
        "job": run.job,
        "started_at": run.started_at.isoformat() if run.started_at else None,
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "status": run.status,
        "seconds": run.seconds,
        "error": run.error,
    }


def _plain_usage(usage: Usage) -> dict[str, Any]:
    return {
        "provider": usage.provider,
        "asked_today": usage.asked_count,
        "limit": usage.limit,
        "remaining": usage.remaining_count,
        "is_low": usage.is_low,
    }


def _read_provider(_: datetime) -> dict[str, Any]:
    provider = factory.current()
    return {"sources": tuple(provider.sources()), "doubts": tuple(provider.doubts())}


def _read_queries(_: datetime) -> dict[str, Any]:
    try:
        provider = factory.current()
    except (ImproperlyConfigured, ProviderError):
        # Said once, of the provider itself.
        return {}
    return {"usages": tuple(quota.usages(provider))}


def _read_cache(_: datetime) -> dict[str, Any]:
    backend = backends.current()
    # The class alone: a location may be a URL with a password.
    name = f"{type(backend).__module__}.{type(backend).__qualname__}"
    fields: dict[str, Any] = {"cache_backend": name}
    # A cache that is down is a problem of the journal.
    with suppress(CacheUnavailable), guarded(fails_fast=False):
        fields["is_journal_possible"] = backends.can_hold_journal(backend)
    return fields


def _read_journal(at: datetime) -> dict[str, Any]:
    backlog = read_backlog()
    return {
        "pending_count": backlog.answer_count,
        "unrecorded_count": spill_buffer.unrecorded(),
        "oldest_pending_seconds": backlog.waited_seconds(at) if backlog.oldest_at else None,
    }


def _read_rows(_: datetime) -> dict[str, Any]:
    return {"row_count": GeoCache.objects.count()}


def _read_runs(_: datetime) -> dict[str, Any]:
    return {
        "rejected_count": RejectedEntry.objects.count(),
        "last_flush": FlushRun.objects.order_by("-started_at").first(),
        "lost_record_count": FlushRun.objects.aggregate(total=Sum("lost"))["total"] or 0,
    }


def _read_scheduler(at: datetime) -> dict[str, Any]:
    lease, runs = SchedulerLease.held_at(at), JobRun.last_runs()
    return {
        "job_runs": tuple(runs.values()),
        "is_flush_scheduled": lease is not None or _has_flushed(runs, at),
        "is_scheduler_alive": lease is not None,
        "scheduler_holder": describe(lease.holder) if lease else "",
    }


def _has_flushed(runs: dict[str, JobRun], at: datetime) -> bool:
    interval = timedelta(seconds=conf.get("FLUSH_INTERVAL_SECONDS"))
    since = at - max(MISSED_INTERVALS * interval, RECENT_FLUSH)
    job = runs.get("geo_cache_flush")
    # A flush with nothing to do leaves a run of the job only; one that a host calls, the other.
    return (job is not None and job.has_begun_since(since)) or (
        FlushRun.objects.filter(started_at__gte=since).exists()
    )


def _read_lists(at: datetime) -> dict[str, Any]:
    return {"lists": read_lists(at)}


def _read_bans(_: datetime) -> dict[str, Any]:
    return {"bans": read_bans()}


Part = tuple[str, Callable[[datetime], dict[str, Any]]]
UNSTORED_PARTS: Final[tuple[Part, ...]] = (
    ("provider", _read_provider),
    ("queries", _read_queries),
    ("cache", _read_cache),
)
# These need the database; the journal too, as its head is kept there.
STORED_PARTS: Final[tuple[Part, ...]] = (
    ("journal", _read_journal),
    ("flushes", _read_runs),
    ("scheduler", _read_scheduler),
    ("lists", _read_lists),
)
COUNTED_PARTS: Final[tuple[Part, ...]] = (("table", _read_rows), ("bans", _read_bans))
