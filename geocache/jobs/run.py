"""One run of a job: its lease, its time limit, what is noted of it, and its report."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router

from geocache import counters, site_counters
from geocache.exceptions import (
    BanBusy,
    GeocacheError,
    ImportBusy,
    JobBusy,
    MeteredProvider,
    UpdateBusy,
)
from geocache.instants import utc_now
from geocache.jobs import due, work
from geocache.jobs.held import held
from geocache.jobs.report import BUSY, DISABLED, DONE, FAILED, NOTHING_DUE, JobReport
from geocache.jobs.table import Job, find_job, stopping
from geocache.jobs.work import Outcome, Work
from geocache.log import get_logger
from geocache.models import JobRun
from geocache.models.connection import DATABASE_ERRORS, drop_broken_connection
from geocache.runtime_settings import overrides

log = get_logger(__name__)

# What can go wrong in use. Anything else is a defect, which the scheduler has to show.
KNOWN_ERRORS: Final = (GeocacheError, ImproperlyConfigured, OSError, *DATABASE_ERRORS)
# Of the jobs' own locks: another process does the same by a command.
BUSY_ERRORS: Final = (BanBusy, ImportBusy, JobBusy, UpdateBusy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a job is run, as ``geocache.jobs.run_job`` takes it."""

    is_only_due: bool
    is_forced: bool
    time_limit_seconds: float | None
    is_stopped: Callable[[], bool]


def run(job_id: str, options: Options) -> JobReport:
    """Run a job as ``geocache.jobs.run_job`` says."""
    job, started = find_job(job_id), time.monotonic()
    _refuse_inside_transaction(job)
    _close_old_connections()
    # What was changed counts from the next run, also where a timer starts a process for each.
    overrides.refresh()
    try:
        outcome = _attempt(job, started, options)
    except KNOWN_ERRORS as error:
        outcome = _failed(job, error)
    finally:
        _close_old_connections()
        site_counters.send_within(site_counters.PATIENCE_SECONDS)
    return JobReport(
        job=job.id,
        status=outcome.status,
        seconds=round(time.monotonic() - started, 3),
        detail=outcome.detail,
        error=outcome.error,
    )


def _attempt(job: Job, started: float, options: Options) -> Outcome:
    """Run a job unless it is off, not due or busy."""
    if not job.is_enabled:
        return Outcome(DISABLED, error="the settings do not want it")
    last = JobRun.of(job.id)
    if options.is_only_due and not due.is_due(job, last, utc_now()):
        return Outcome(NOTHING_DUE)
    limit_seconds = job.time_limit_seconds
    if options.time_limit_seconds is not None:
        limit_seconds = min(limit_seconds, options.time_limit_seconds)
    deadline = started + limit_seconds
    with held(last, limit_seconds) as is_lost:
        if options.is_only_due and not due.is_due(job, JobRun.of(job.id), utc_now()):
            # Another process has run it in between.
            return Outcome(NOTHING_DUE)

        def is_over() -> bool:
            is_late = time.monotonic() > deadline
            return is_late or stopping.is_set() or options.is_stopped() or is_lost()

        return _noted(job, last, Work(limit_seconds, is_over, options.is_forced))


def _noted(job: Job, last: JobRun, given: Work) -> Outcome:
    """Do the work, and note in the table when it began and how it ended."""
    last.begin()
    started = time.monotonic()

    def note(outcome: Outcome) -> Outcome:
        seconds = round(time.monotonic() - started, 3)
        _count(job, outcome, seconds)
        try:
            last.end(status=outcome.status, seconds=seconds, error=outcome.error)
        except DATABASE_ERRORS as error:
            drop_broken_connection()
            log.warning("geo_job_run_not_recorded", job=job.id, error=one_line(error))
        return outcome

    try:
        return note(work.WORK[job.id](given))
    except KNOWN_ERRORS as error:
        return note(_failed(job, error))
    except BaseException as error:
        note(Outcome(FAILED, error=f"ended by {type(error).__name__}"))
        raise


def _count(job: Job, outcome: Outcome, seconds: float) -> None:
    counters.count((counters.JOB_RUNS, job.id, outcome.status))
    counters.count((counters.JOB_MICROSECONDS, job.id), int(seconds * 1e6))
    if outcome.status in (DONE, NOTHING_DUE):
        counters.mark((counters.JOB_SUCCESS, job.id), round(time.time()))


def _failed(job: Job, error: Exception) -> Outcome:
    said = one_line(error)
    if isinstance(error, BUSY_ERRORS):
        return Outcome(BUSY, error=said)
    if isinstance(error, MeteredProvider):
        return Outcome(DISABLED, error=said)
    log.error("geo_job_failed", job=job.id, error=said)
    if isinstance(error, DATABASE_ERRORS):
        drop_broken_connection()
    if job.id == work.FLUSH:
        work.warn_of_age()
    return Outcome(FAILED, error=said)


def _refuse_inside_transaction(job: Job) -> None:
    """Raise where a job's own transactions would not be committed, and its lease not be seen."""
    blocks = connections[router.db_for_write(JobRun)].atomic_blocks
    # Those of a TestCase are allowed, as Django allows them around durable ones.
    if blocks and not getattr(blocks[-1], "_from_testcase", False):
        raise RuntimeError(
            f"{job.id} was called inside a transaction, which no job can be: call it after the "
            "commit, as transaction.on_commit does."
        )


def _close_old_connections() -> None:
    """Close the connections of this thread that are broken or too old.

    Django does that between requests. Not one inside a transaction, as of a test of the host, which
    ``django.db.close_old_connections`` would close.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def one_line(error: Exception) -> str:
    """Return an error's text on one line; drivers of databases add hints on others."""
    return " ".join(str(error).split()) or type(error).__name__
