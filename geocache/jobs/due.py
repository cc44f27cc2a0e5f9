"""When each job is due, known from the table of last runs: no scheduler has to be asked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from geocache.jobs.report import FAILED
from geocache.jobs.table import HOUR_SECONDS, JOBS, MINUTE_SECONDS, Job
from geocache.models import JobRun

# What failed or was killed is tried again so soon, unless it is due sooner.
RETRY_SECONDS: Final = HOUR_SECONDS
# Timers are not exact: one that comes early by a part of the interval does not have to wait for the
# next time.
EARLY_PART: Final = 0.1
MAX_EARLY_SECONDS: Final = MINUTE_SECONDS


@dataclass(frozen=True, slots=True)
class Schedule:
    """One job with its last run (None before the first) and when it is due (None: always)."""

    job: Job
    run: JobRun | None
    due_at: datetime | None
    is_due: bool

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        run = self.run
        return {
            "job": self.job.id,
            "is_enabled": self.job.is_enabled,
            "interval_seconds": self.job.interval_seconds,
            "time_limit_seconds": self.job.time_limit_seconds,
            "started_at": _text(run.started_at if run else None),
            "finished_at": _text(run.finished_at if run else None),
            "status": run.status if run else "",
            "seconds": run.seconds if run else 0.0,
            "error": run.error if run else "",
            "due_at": _text(self.due_at),
            "is_due": self.is_due,
        }


def read_schedules(at: datetime) -> list[Schedule]:
    """Return all jobs with their last runs; only reads."""
    runs = JobRun.last_runs()
    return [_schedule(job, runs.get(job.id), at) for job in JOBS]


def is_due(job: Job, run: JobRun, at: datetime) -> bool:
    """Tell whether a job should run at ``at``."""
    due_at = _due_at(job, run)
    if due_at is None:
        return True
    # A clock that was set back must not close the door for years.
    return at >= due_at or (run.started_at is not None and at < run.started_at - _early(job))


def _schedule(job: Job, run: JobRun | None, at: datetime) -> Schedule:
    if not job.is_enabled:
        return Schedule(job, run, due_at=None, is_due=False)
    if run is None:
        return Schedule(job, None, due_at=None, is_due=True)
    return Schedule(job, run, _due_at(job, run), is_due(job, run, at))


def _due_at(job: Job, run: JobRun) -> datetime | None:
    if job.is_always_due or run.started_at is None:
        return None
    interval = job.interval_seconds
    if run.status == FAILED or not run.has_ended():
        interval = min(interval, RETRY_SECONDS)
    return run.started_at + timedelta(seconds=interval) - _early(job)


def _early(job: Job) -> timedelta:
    return timedelta(seconds=min(job.interval_seconds * EARLY_PART, MAX_EARLY_SECONDS))


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
