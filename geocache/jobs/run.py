"""One run of a job: its lease, its time limit, what is noted of it, and its report."""

import time
from collections.abc import Callable
from typing import Final

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import close_old_connections
from django.utils import timezone

from geocache.exceptions import (
    BanBusy,
    GeocacheError,
    ImportBusy,
    JobBusy,
    MeteredProvider,
    UpdateBusy,
)
from geocache.jobs import due, work
from geocache.jobs.held import held
from geocache.jobs.report import BUSY, DISABLED, FAILED, NOTHING_DUE, JobReport, Status
from geocache.jobs.table import Job, find_job, stopping
from geocache.jobs.work import Outcome, Work
from geocache.models import JobRun
from geocache.models.connection import DATABASE_ERRORS, drop_broken_connection

log = structlog.get_logger(__name__)

# What can go wrong in use. Anything else is a defect, which the scheduler has to show.
KNOWN_ERRORS: Final = (GeocacheError, ImproperlyConfigured, OSError, *DATABASE_ERRORS)
# Of the jobs' own locks: another process does the same by a command.
BUSY_ERRORS: Final = (BanBusy, ImportBusy, JobBusy, UpdateBusy)


def run(
    job_id: str,
    *,
    is_only_due: bool,
    is_forced: bool,
    time_limit_seconds: float | None,
    is_stopped: Callable[[], bool],
) -> JobReport:
    """Run a job as ``geocache.jobs.run_job`` says."""
    job, started = find_job(job_id), time.monotonic()
    close_old_connections()
    try:
        outcome = _attempt(job, started, is_only_due, is_forced, time_limit_seconds, is_stopped)
    finally:
        close_old_connections()
    return JobReport(
        job=job.id,
        status=outcome.status,
        seconds=round(time.monotonic() - started, 3),
        detail=outcome.detail,
        error=outcome.error,
    )


def _attempt(
    job: Job,
    started: float,
    is_only_due: bool,
    is_forced: bool,
    time_limit_seconds: float | None,
    is_stopped: Callable[[], bool],
) -> Outcome:
    """Run a job unless it is off, not due or busy; turn known errors into an outcome."""
    try:
        if not job.is_enabled:
            return Outcome(DISABLED, error="the settings do not want it")
        limits = [one for one in (time_limit_seconds, job.time_limit_seconds) if one is not None]
        deadline = started + min(limits)
        last = JobRun.of(job.id)
        if is_only_due and not due.is_due(job, last, timezone.now()):
            return Outcome(NOTHING_DUE)
        with held(last, min(limits)) as is_lost:
            last.refresh_from_db()
            if is_only_due and not due.is_due(job, last, timezone.now()):
                # Another process has run it in between.
                return Outcome(NOTHING_DUE)

            def is_over() -> bool:
                is_late = time.monotonic() > deadline
                return is_late or stopping.is_set() or is_stopped() or is_lost()

            return _noted(job, last, Work(min(limits), is_over, is_forced))
    except KNOWN_ERRORS as error:
        return _failed(job, error)


def _noted(job: Job, last: JobRun, given: Work) -> Outcome:
    """Do the work, and note in the table when it began and how it ended."""
    last.begin()
    started = time.monotonic()
    outcome = Outcome(FAILED, error="a defect; the log of its scheduler says which")
    try:
        try:
            outcome = work.WORK[job.id](given)
        except KNOWN_ERRORS as error:
            outcome = _failed(job, error)
        return outcome
    finally:
        seconds = round(time.monotonic() - started, 3)
        _note_end(last, outcome.status, seconds, outcome.error)


def _note_end(last: JobRun, status: Status, seconds: float, error: str) -> None:
    try:
        last.end(status=status, seconds=seconds, error=error)
    except DATABASE_ERRORS as away:
        drop_broken_connection()
        log.warning("geo_job_run_not_recorded", job=last.job, error=one_line(away))


def _failed(job: Job, error: Exception) -> Outcome:
    said = one_line(error)
    if isinstance(error, BUSY_ERRORS):
        return Outcome(BUSY, error=said)
    if isinstance(error, MeteredProvider):
        return Outcome(DISABLED, error=said)
    log.error(f"{job.id}_failed", error=said)
    if isinstance(error, DATABASE_ERRORS):
        drop_broken_connection()
    if job.id == work.FLUSH:
        work.warn_of_age()
    return Outcome(FAILED, error=said)


def one_line(error: Exception) -> str:
    """Return an error's text on one line; drivers of databases add hints on others."""
    return " ".join(str(error).split()) or type(error).__name__
