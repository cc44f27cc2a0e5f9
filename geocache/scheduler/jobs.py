"""The jobs of the scheduler; each says how often it runs, and when it is enabled.

What django-apscheduler leaves to its users is done here: old executions are pruned.
"""

import threading
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from django.utils import timezone
from django_apscheduler.models import DjangoJobExecution

from geocache import conf
from geocache.bans import apply as bans
from geocache.blocklists.outcome import APPLIED
from geocache.blocklists.schedule import import_due
from geocache.databases import update
from geocache.exceptions import (
    BanBusy,
    JournalUnavailable,
    MeteredProvider,
    ProviderError,
    UpdateBusy,
)
from geocache.history.moves import count_moves
from geocache.journal.backlog import read_backlog
from geocache.journal.flush import flush_dirty
from geocache.maintenance.prune import prune, retention_days
from geocache.maintenance.refresh import refresh
from geocache.models.connection import DATABASE_ERRORS
from geocache.scheduler.registry import Job, job, registered
from geocache.statistics.after_flush import after_flush

log = structlog.get_logger(__name__)

# Set while the scheduler stops: jobs that may take long then end at the next opportunity.
stopping: Final = threading.Event()

DAY_SECONDS: Final = 86_400
# How often a job looks whether a newer database is due, and another whether rows are.
UPDATE_INTERVAL_SECONDS: Final = 3600
REFRESH_INTERVAL_SECONDS: Final = 3600
# How long the job may take that prunes rows, once a day.
PRUNE_TIME_LIMIT_SECONDS: Final = 600
# How often a job looks whether a list is due, or was asked for on its page.
IMPORT_INTERVAL_SECONDS: Final = 60
# How often a job looks whether bans are due.
BAN_INTERVAL_SECONDS: Final = 60


def jobs() -> list[Job]:
    """Return the jobs that the settings enable."""
    return [one for one in registered if one.is_enabled()]


def _warn_of_age() -> None:
    """Say when answers have waited for longer than three intervals."""
    try:
        backlog = read_backlog()
    except (JournalUnavailable, *DATABASE_ERRORS):
        # The age is unknown; what is away was logged before.
        return
    waited_seconds = backlog.waited_seconds(datetime.now(UTC))
    if waited_seconds > 3 * conf.get("FLUSH_INTERVAL_SECONDS"):
        log.warning(
            "geo_cache_backlog_is_old",
            pending=backlog.answer_count,
            waited_seconds=round(waited_seconds),
        )


@job(interval_seconds=lambda: conf.get("FLUSH_INTERVAL_SECONDS"), on_failure=_warn_of_age)
def geo_cache_flush() -> None:
    """Write the dirty answers to the table; what fails is tried again next time."""
    report = flush_dirty()
    if report.flushed:
        log.debug("geo_cache_flush_ran", flushed=report.flushed)
    if report.rejected:
        log.warning("geo_cache_flush_rejected", rejected=report.rejected)
    if report.timed_out:
        log.warning("geo_cache_flush_timed_out", flushed=report.flushed, pending=report.pending)
        _warn_of_age()
    after_flush()


@job(interval_seconds=lambda: DAY_SECONDS)
def geo_prune_history() -> None:
    """Forget executions of our jobs that are older than ``HISTORY_DAYS``."""
    # As Django has it: their moments are of the project's kind.
    oldest = timezone.now() - timedelta(days=conf.get("HISTORY_DAYS"))
    # Not by a prefix: the host's own jobs are in the same table.
    ours = [one.id for one in registered]
    DjangoJobExecution.objects.filter(job_id__in=ours, run_time__lt=oldest).delete()


@job(
    interval_seconds=lambda: UPDATE_INTERVAL_SECONDS,
    is_enabled=lambda: conf.get("UPDATE_DAYS") and update.is_used(),
    silent=(UpdateBusy,),
)
def geo_database_update() -> None:
    """Fetch newer databases, each once in ``UPDATE_DAYS``; look-ups find them by themselves."""
    outcomes = update.update_databases(is_only_due=True, is_stopped=stopping.is_set)
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


@job(
    interval_seconds=lambda: REFRESH_INTERVAL_SECONDS,
    is_enabled=lambda: conf.get("REFRESH_TIME_LIMIT_SECONDS"),
    silent=(MeteredProvider,),
)
def geo_refresh() -> None:
    """Resolve rows again that may be wrong by now; what costs is left to ``refresh_geo``."""
    time_limit_seconds = conf.get("REFRESH_TIME_LIMIT_SECONDS")
    report = refresh(time_limit_seconds=time_limit_seconds, is_stopped=stopping.is_set)
    if report.resolved or report.failed:
        log.info("geo_refresh_ran", resolved=report.resolved, failed=report.failed)
        after_flush()


@job(interval_seconds=lambda: DAY_SECONDS, is_enabled=lambda: conf.get("RETENTION_DAYS"))
def geo_prune() -> None:
    """Remove rows not asked for in ``RETENTION_DAYS``; the next day's run takes the rest."""
    report = prune(
        days=retention_days(),
        time_limit_seconds=PRUNE_TIME_LIMIT_SECONDS,
        is_stopped=stopping.is_set,
    )
    if report.pruned:
        log.info("geo_prune_ran", pruned=report.pruned, is_complete=report.is_complete)
        after_flush()


@job(
    interval_seconds=lambda: IMPORT_INTERVAL_SECONDS,
    is_enabled=lambda: conf.get("IMPORT_SOURCES"),
)
def geo_import() -> None:
    """Import the lists of ``IMPORT_SOURCES`` that are due, each content once."""
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


@job(
    interval_seconds=lambda: BAN_INTERVAL_SECONDS,
    is_enabled=lambda: conf.get("BAN_ACTION"),
    silent=(BanBusy,),
)
def geo_bans() -> None:
    """Apply and end what is due though no import did: of deleted lists, of settings, what is lost.

    Where nothing has changed since the last time this is two queries.
    """
    report = bans.apply_due_bans(_stop_bans)
    if report.banned or report.unbanned or report.repeated:
        log.info(
            "geo_bans_ran",
            banned=report.banned,
            ended=report.unbanned,
            repeated=report.repeated,
            skipped=report.skipped.total(),
        )


def _stop_bans() -> None:
    """End a run between two batches; the next start goes on."""
    if stopping.is_set():
        raise BanBusy("the scheduler stops")
