"""The state of all parts of geocache, read one by one and without writing to the database."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.models import Sum

from geocache import conf, provider_outages
from geocache.blocklists.status import BanOverview, ListOverview, read_bans, read_lists
from geocache.cache import backends
from geocache.cache.guard import guarded
from geocache.edge import said
from geocache.exceptions import CacheUnavailable, JournalUnavailable, ProviderError
from geocache.instants import utc_now
from geocache.journal import spill_buffer
from geocache.journal.backlog import patience, read_journal
from geocache.licences.limits import Level, level_of_age
from geocache.locks.process_identity import describe
from geocache.models import (
    FlushRun,
    GeoCache,
    JobRun,
    RejectedEntry,
    SchedulerLease,
    SettingOverride,
)
from geocache.models.connection import DATABASE_ERRORS, writing_connection
from geocache.models.scheduler import SCHEDULER_LEASE
from geocache.provider_outages import Outage
from geocache.providers import factory, quota
from geocache.providers.base import Source
from geocache.providers.credits import licence_of_source
from geocache.providers.quota import Usage
from geocache.text import first_line

# A database of places is old when so many addresses have moved that one should fetch a newer one.
OLD_DAYS: Final = 90
# To see whether the cache answers; none has this name.
ANY_KEY: Final = "is-there"
UNMIGRATED: Final = "the database is not migrated; run manage.py migrate"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStatus:
    """The journal of one cache of several; ``error`` says why it could not be read."""

    alias: str
    pending_count: int | None = None
    oldest_pending_seconds: float | None = None
    unrecorded_count: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of all parts; None where one could not be read, and ``errors`` then says why."""

    # Of all journals that could be read, where this process flushes several.
    pending_count: int | None = None
    oldest_pending_seconds: float | None = None
    # Each of several; none where there is only one.
    journals: tuple[JournalStatus, ...] = ()
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
    # Whose headers tell where a visitor is, in a few words; empty where none do.
    edge: str = ""
    # Of today, one for each metered provider.
    usages: tuple[Usage, ...] = ()
    # Of providers that answer nothing, as the last queries tell.
    outages: tuple[Outage, ...] = ()
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
    # What the admin has changed.
    settings: tuple[SettingOverride, ...] = ()
    # None as well where nothing is banned and nothing shall be.
    bans: BanOverview | None = None
    # Why a part could not be read, in one line, by its name. Without "database" no other part of
    # STORED_PARTS and COUNTED_PARTS was read.
    errors: Mapping[str, str] = field(default_factory=dict)
    # Those of them that gave no answer in time.
    silent_parts: frozenset[str] = frozenset()

    @property
    def problems(self) -> tuple[str, ...]:
        """Return why parts could not be read, a line each."""
        found = self.errors.items()
        return tuple(text if part == DATABASE else f"{part}: {text}" for part, text in found)

    @property
    def failed_parts(self) -> frozenset[str]:
        """Return the names of the parts that could not be read."""
        stored = [name for name, _ in (*STORED_PARTS, *COUNTED_PARTS)]
        return frozenset([*self.errors, *(stored if DATABASE in self.errors else ())])

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
            "journals": [msgspec.to_builtins(one) for one in self.journals],
            "last_flush": None if self.last_flush is None else _plain_run(self.last_flush),
            "rows": self.row_count,
            "rejected": self.rejected_count,
            "lost_records": self.lost_record_count,
            "unrecorded": self.unrecorded_count,
            "sources": [plain_source(source) for source in self.sources],
            "doubts": list(self.doubts),
            "edge": self.edge,
            "queries": [_plain_usage(usage) for usage in self.usages],
            "outages": [one.to_plain() for one in self.outages],
            "cache": {"backend": self.cache_backend, "holds_journal": self.is_journal_possible},
            "database": self.database_vendor,
            "scheduler": {"is_alive": self.is_scheduler_alive, "holder": self.scheduler_holder},
            "jobs": [_plain_job(run) for run in self.job_runs],
            "is_flush_scheduled": self.is_flush_scheduled,
            "lists": [one.to_plain() for one in self.lists],
            "bans": msgspec.to_builtins(self.bans),
            "settings": [_plain_setting(row) for row in self.settings],
            "problems": list(self.problems),
        }


def read_status(at: datetime | None = None, *, is_counting_rows: bool = True) -> Status:
    """Return the state at ``at`` (now). A part that cannot be read is a problem, never an error.

    To count rows and bans takes seconds when there are millions; whoever cannot wait goes without.
    """
    at = at or utc_now()
    outcomes = {DATABASE: read_part(DATABASE, at)}
    stored = (*STORED_PARTS, *(COUNTED_PARTS if is_counting_rows else ()))
    for name, _ in (*UNSTORED_PARTS, *(() if outcomes[DATABASE].error else stored)):
        outcomes[name] = read_part(name, at)
    return status_of(outcomes)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of reading one part: fields of ``Status``, or why it could not be read."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


def read_part(name: str, at: datetime) -> Outcome:
    """Read one part by its name; what fails is said in the outcome."""
    if name == DATABASE:
        return Outcome(error=database_problem())
    readers = dict((*UNSTORED_PARTS, *STORED_PARTS, *COUNTED_PARTS))
    try:
        return Outcome(readers[name](at))
    except Exception as error:  # noqa: BLE001 - one part's failure must not hide the others
        return Outcome(error=first_line(error))


def status_of(outcomes: Mapping[str, Outcome], silent_parts: Collection[str] = ()) -> Status:
    """Return the state of what was read."""
    fields: dict[str, Any] = {"database_vendor": writing_connection().vendor}
    for outcome in outcomes.values():
        fields |= outcome.fields
    errors = {name: one.error for name, one in outcomes.items() if one.error}
    return Status(**fields, errors=errors, silent_parts=frozenset(silent_parts))


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


def licence_level(source: Source, at: datetime | None = None) -> Level | None:
    """Return how bad the age of ``source`` is by its licence, None when it is not."""
    return level_of_age(licence_of_source(source), source.built_at, at or utc_now())


def plain_source(source: Source) -> dict[str, Any]:
    """Return a source with its age and licence as plain JSON types."""
    licence = licence_of_source(source)
    return {
        "name": source.name,
        "built_at": source.built_at.isoformat() if source.built_at else None,
        "age_days": source.age_days(),
        "is_old": is_old(source),
        "is_fallback": source.is_fallback,
        "fields": list(source.fields),
        "attribution": source.attribution,
        "licence": licence.name,
        "max_age_days": licence.max_age_days,
        # None, "warning" or "critical".
        "licence_level": licence_level(source),
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


def _plain_setting(row: SettingOverride) -> dict[str, Any]:
    is_known = row.name in conf.DEFAULTS
    return {
        "name": row.name,
        # What counts, which is another one where the stored value is ignored.
        "value": msgspec.to_builtins(conf.get(row.name), enc_hook=str) if is_known else None,
        "source": conf.source(row.name) if is_known else "unknown",
        "by": row.changed_by,
        "at": row.changed_at.isoformat(),
    }


def _read_provider(_: datetime) -> dict[str, Any]:
    provider = factory.current()
    return {"sources": tuple(provider.sources()), "doubts": tuple(provider.doubts())}


def _read_edge(_: datetime) -> dict[str, Any]:
    return {"edge": said.describe()}


def _read_queries(at: datetime) -> dict[str, Any]:
    try:
        provider = factory.current()
    except (ImproperlyConfigured, ProviderError):
        # Said once, of the provider itself.
        return {}
    fields: dict[str, Any] = {"usages": tuple(quota.usages(provider))}
    # A cache that is away is said once, of itself.
    with suppress(CacheUnavailable):
        fields["outages"] = tuple(provider_outages.read(provider, at))
    return fields


def _read_cache(_: datetime) -> dict[str, Any]:
    backend = backends.current()
    # The class alone: a location may be a URL with a password.
    name = f"{type(backend).__module__}.{type(backend).__qualname__}"
    fields: dict[str, Any] = {"cache_backend": name}
    # A cache that is down is a problem of the journal.
    with suppress(CacheUnavailable), guarded(fails_fast=False):
        is_possible = backends.can_hold_journal(backend)
        # What it can do is remembered; whether it is there now is not.
        backend.has_key(ANY_KEY)
        fields["is_journal_possible"] = is_possible
    return fields


def _read_journal(at: datetime) -> dict[str, Any]:
    aliases = backends.journal_aliases()
    if len(aliases) == 1:
        journals = [_read_one_journal(aliases[0], at)]
    else:
        journals = [_attempt_journal(alias, at) for alias in aliases]
    return {
        "pending_count": _total(one.pending_count for one in journals),
        "unrecorded_count": _total(one.unrecorded_count for one in journals),
        "oldest_pending_seconds": max(
            (age for one in journals if (age := one.oldest_pending_seconds) is not None),
            default=None,
        ),
        "journals": tuple(journals) if len(aliases) > 1 else (),
    }


def _attempt_journal(alias: str, at: datetime) -> JournalStatus:
    """Read one journal of several: one that cannot be read does not hide the others."""
    try:
        return _read_one_journal(alias, at)
    except JournalUnavailable as error:
        return JournalStatus(alias=alias, error=first_line(error))


def _read_one_journal(alias: str, at: datetime) -> JournalStatus:
    backlog = read_journal(alias)
    with backends.using(alias):
        unrecorded_count = spill_buffer.unrecorded()
    return JournalStatus(
        alias=alias,
        pending_count=backlog.answer_count,
        oldest_pending_seconds=backlog.waited_seconds(at) if backlog.oldest_at else None,
        unrecorded_count=unrecorded_count,
    )


def _total(counts: Iterable[int | None]) -> int | None:
    """Return the sum of what is known; None where nothing is."""
    known = [one for one in counts if one is not None]
    return sum(known) if known else None


def _read_rows(_: datetime) -> dict[str, Any]:
    return {"row_count": GeoCache.objects.count()}


def _read_runs(_: datetime) -> dict[str, Any]:
    return {
        "rejected_count": RejectedEntry.objects.count(),
        "last_flush": FlushRun.objects.order_by("-started_at").first(),
        "lost_record_count": FlushRun.objects.aggregate(total=Sum("lost"))["total"] or 0,
    }


def _read_scheduler(at: datetime) -> dict[str, Any]:
    lease, runs = SchedulerLease.objects.filter(name=SCHEDULER_LEASE).first(), JobRun.last_runs()
    is_alive = lease is not None and lease.expires_at > at
    # One that has ended in order has given its lease back.
    killed_at = lease.expires_at if lease is not None and lease.holder and not is_alive else None
    return {
        "job_runs": tuple(runs.values()),
        "is_flush_scheduled": is_alive or _has_flushed(runs, at, killed_at),
        "is_scheduler_alive": is_alive,
        "scheduler_holder": describe(lease.holder) if lease is not None and is_alive else "",
    }


def _has_flushed(runs: dict[str, JobRun], at: datetime, killed_at: datetime | None) -> bool:
    """Tell whether there was a flush a short time ago, and after our scheduler was killed."""
    _, longest = patience()
    since = at - longest
    if killed_at is not None:
        since = max(since, killed_at)
    job = runs.get("geo_cache_flush")
    # A flush with nothing to do leaves a run of the job only; one that a host calls, the other.
    return (job is not None and job.has_begun_since(since)) or (
        FlushRun.objects.filter(started_at__gte=since).exists()
    )


def _read_lists(at: datetime) -> dict[str, Any]:
    return {"lists": read_lists(at)}


def _read_settings(_: datetime) -> dict[str, Any]:
    return {"settings": tuple(SettingOverride.written())}


def _read_bans(_: datetime) -> dict[str, Any]:
    return {"bans": read_bans()}


DATABASE: Final = "database"
Part = tuple[str, Callable[[datetime], dict[str, Any]]]
UNSTORED_PARTS: Final[tuple[Part, ...]] = (
    ("provider", _read_provider),
    ("edge", _read_edge),
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
# Those that no page shows.
COUNTED_PARTS: Final[tuple[Part, ...]] = (
    ("table", _read_rows),
    ("bans", _read_bans),
    ("settings", _read_settings),
)
