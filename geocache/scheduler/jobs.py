"""The scheduler and its jobs; the only user of APScheduler.

One scheduler runs the jobs, a second stands by: both would run every job twice. Which one it is
says a lease in the database. What django-apscheduler leaves to its users is done here: jobs are
registered at every start, ours that are gone are removed, and old executions are pruned.
"""

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from django.core.exceptions import ImproperlyConfigured
from django_apscheduler import util
from django_apscheduler.models import DjangoJobExecution

from geocache import conf
from geocache.blocklists.outcome import APPLIED
from geocache.blocklists.schedule import import_due
from geocache.databases import update
from geocache.exceptions import (
    FlushError,
    JournalUnavailable,
    MeteredProvider,
    ProviderError,
    UpdateBusy,
    UpdateError,
)
from geocache.history.moves import count_moves
from geocache.journal.flush import flush_dirty, read_backlog
from geocache.maintenance.prune import prune, retention_days
from geocache.maintenance.refresh import refresh
from geocache.models import FlushRun
from geocache.models.connection import DATABASE_ERRORS
from geocache.statistics.after_flush import after_flush

log = structlog.get_logger(__name__)

# Set while the scheduler stops: jobs that may take long then end at the next opportunity.
stopping: Final = threading.Event()

# All our job ids begin with it, so that those of a past release can be told from other apps'.
PREFIX: Final = "geo_"
DAY_SECONDS: Final = 86_400
# How often a job looks whether a newer database is due, and another whether rows are.
UPDATE_INTERVAL_SECONDS: Final = 3600
REFRESH_INTERVAL_SECONDS: Final = 3600
# How long the job may take that prunes rows, once a day.
PRUNE_TIME_LIMIT_SECONDS: Final = 600
# How often a job looks whether a list is due, or somebody has asked for it.
IMPORT_INTERVAL_SECONDS: Final = 60


@util.close_old_connections  # type: ignore[untyped-decorator]  # django-apscheduler is not typed
def geo_cache_flush() -> None:
    """Write the dirty answers to the table; what fails is logged and tried again next time."""
    try:
        report = flush_dirty()
    except FlushError as error:
        log.error("geo_cache_flush_failed", error=str(error))
        _warn_of_age()
        return
    if report.flushed:
        log.debug("geo_cache_flush_ran", flushed=report.flushed)
    if report.rejected:
        log.warning("geo_cache_flush_rejected", rejected=report.rejected)
    if report.timed_out:
        log.warning("geo_cache_flush_timed_out", flushed=report.flushed, pending=report.pending)
        _warn_of_age()
    after_flush()


def _warn_of_age() -> None:
    """Say when answers have waited for longer than three intervals."""
    try:
        backlog = read_backlog()
    except (JournalUnavailable, *DATABASE_ERRORS):
        # Nobody can tell; what is away has been said.
        return
    waited_seconds = backlog.waited_seconds(datetime.now(UTC))
    if waited_seconds > 3 * conf.get("FLUSH_INTERVAL_SECONDS"):
        log.warning(
            "geo_cache_backlog_is_old",
            pending=backlog.answer_count,
            waited_seconds=round(waited_seconds),
        )


@util.close_old_connections  # type: ignore[untyped-decorator]  # django-apscheduler is not typed
def geo_prune_history() -> None:
    """Forget runs of the flush and of our jobs that are older than ``HISTORY_DAYS``."""
    oldest = datetime.now(UTC) - timedelta(days=conf.get("HISTORY_DAYS"))
    FlushRun.objects.filter(started_at__lt=oldest).delete()
    DjangoJobExecution.objects.filter(job__id__startswith=PREFIX, run_time__lt=oldest).delete()


@util.close_old_connections  # type: ignore[untyped-decorator]  # django-apscheduler is not typed
def geo_database_update() -> None:
    """Fetch newer databases, each once in ``UPDATE_DAYS``; look-ups find them by themselves."""
    try:
        outcomes = update.update_databases(is_only_due=True, is_stopped=stopping.is_set)
    except UpdateBusy:
        return
    except (UpdateError, OSError) as error:
        log.error("geo_database_update_failed", error=str(error))
        return
    for one in outcomes:
        if one.status == update.INSTALLED:
            log.info("geo_database_updated", database=one.name, build=one.detail)
        elif one.status == update.FAILED:
            log.error("geo_database_update_failed", database=one.name, error=one.detail)
    if any(one.status == update.INSTALLED for one in outcomes):
        _say_moves()


def _say_moves() -> None:
    """Log how many known addresses the new databases put elsewhere."""
    try:
        report = count_moves(is_stopped=stopping.is_set)
    except (ProviderError, *DATABASE_ERRORS) as error:
        log.error("geo_moves_not_counted", error=str(error))
        return
    if report:
        log.info("geo_addresses_moved", **asdict(report))


@util.close_old_connections  # type: ignore[untyped-decorator]  # django-apscheduler is not typed
def geo_refresh() -> None:
    """Resolve rows again that may be wrong by now; what costs is left to ``refresh_geo``."""
    time_limit_seconds = conf.get("REFRESH_TIME_LIMIT_SECONDS")
    try:
        report = refresh(time_limit_seconds=time_limit_seconds, is_stopped=stopping.is_set)
    except MeteredProvider:
        return
    except (FlushError, ProviderError, *DATABASE_ERRORS) as error:
        log.error("geo_refresh_failed", error=str(error))
        return
    if report.resolved or report.failed:
        log.info("geo_refresh_ran", resolved=report.resolved, failed=report.failed)
        after_flush()


@util.close_old_connections  # type: ignore[untyped-decorator]  # django-apscheduler is not typed
def geo_prune() -> None:
    """Remove rows that nobody has asked for in ``RETENTION_DAYS``; the next day goes on."""
    try:
        report = prune(
            days=retention_days(),
            time_limit_seconds=PRUNE_TIME_LIMIT_SECONDS,
            is_stopped=stopping.is_set,
        )
    except (FlushError, ProviderError, ImproperlyConfigured, *DATABASE_ERRORS) as error:
        log.error("geo_prune_failed", error=str(error))
        return
    if report.pruned:
        log.info("geo_prune_ran", pruned=report.pruned, is_complete=report.is_complete)
        after_flush()


@util.close_old_connections  # type: ignore[untyped-decorator]  # django-apscheduler is not typed
def geo_import() -> None:
    """Import the lists of ``IMPORT_SOURCES`` that are due, each content once."""
    try:
        for result in import_due(is_stopped=stopping.is_set):
            if result.problem:
                log.error("geo_import_failed", list=result.name, error=result.problem)
            elif result.outcome and result.outcome.status == APPLIED:
                log.info(
                    "geo_import_ran",
                    list=result.name,
                    appeared=result.outcome.added_count,
                    left=result.outcome.removed_count,
                    bad=result.outcome.bad_count,
                )
    except DATABASE_ERRORS as error:
        log.error("geo_import_failed", error=str(error))


@dataclass(frozen=True, slots=True)
class Job:
    """A function that is run at an interval; its name is its stable id."""

    function: Callable[[], None]
    interval_seconds: int

    @property
    def id(self) -> str:
        """Return the id in the job table."""
        return self.function.__name__


def jobs() -> list[Job]:
    """Return the jobs with the intervals that the settings give them."""
    found = [
        Job(geo_cache_flush, conf.get("FLUSH_INTERVAL_SECONDS")),
        Job(geo_prune_history, DAY_SECONDS),
    ]
    if conf.get("UPDATE_DAYS") and update.is_used():
        found.append(Job(geo_database_update, UPDATE_INTERVAL_SECONDS))
    if conf.get("REFRESH_TIME_LIMIT_SECONDS"):
        found.append(Job(geo_refresh, REFRESH_INTERVAL_SECONDS))
    if conf.get("RETENTION_DAYS"):
        found.append(Job(geo_prune, DAY_SECONDS))
    if conf.get("IMPORT_SOURCES"):
        found.append(Job(geo_import, IMPORT_INTERVAL_SECONDS))
    return found
