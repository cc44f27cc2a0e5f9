"""Our jobs in a scheduler of APScheduler, ours or the host's."""

from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.triggers.interval import IntervalTrigger

from geocache.jobs import JOBS, Job
from geocache.log import get_logger
from geocache.models import JobRun
from geocache.models.connection import DATABASE_ERRORS

log = get_logger(__name__)


def add_jobs(scheduler: Any, **options: Any) -> list[str]:
    """Add the jobs that the settings want, remove those that they do not, and return the ids.

    Each is there once, however often this is called; jobs of others are left alone. ``options``
    such as ``jobstore`` and ``executor`` go to ``scheduler.add_job``.
    """
    added = []
    for job in JOBS:
        if job.is_enabled:
            # Due now: a process that is restarted every 59 seconds would never run anything.
            _add(scheduler, job, datetime.now(UTC), options)
            added.append(job.id)
        elif _find(scheduler, job, options) is not None:
            scheduler.remove_job(job.id, jobstore=options.get("jobstore"))
    return added


def follow_settings(scheduler: Any, **options: Any) -> None:
    """Add, remove and reschedule jobs that ``add_jobs`` has added, where the settings changed.

    None runs only because of that: each is due one new interval after its last run, or now if that
    is over.
    """
    for job in JOBS:
        held = _find(scheduler, job, options)
        if held is None:
            if job.is_enabled:
                _add(scheduler, job, _due_at(job), options)
                _log(job)
        elif not job.is_enabled:
            scheduler.remove_job(job.id, jobstore=options.get("jobstore"))
            log.info("geo_job_switched_off", job=job.id)
        elif _is_outdated(held.trigger, job):
            _reschedule(scheduler, job, held, options)
            _log(job)


def _add(scheduler: Any, job: Job, due_at: datetime, options: dict[str, Any]) -> None:
    scheduler.add_job(
        job.path,
        _trigger(scheduler, job),
        id=job.id,
        name=job.id,
        next_run_time=due_at,
        replace_existing=True,
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,
        **options,
    )


def _is_outdated(trigger: Any, job: Job) -> bool:
    # A host may have given a job times of its own, as those of cron: they stay.
    is_ours = isinstance(trigger, IntervalTrigger)
    return is_ours and trigger.interval != timedelta(seconds=job.interval_seconds)


def _reschedule(scheduler: Any, job: Job, held: Any, options: dict[str, Any]) -> None:
    trigger = _trigger(scheduler, job)
    changes = {"trigger": trigger}
    # One that the host has paused stays so.
    if held.next_run_time is not None:
        last = held.next_run_time - held.trigger.interval
        changes["next_run_time"] = max(datetime.now(UTC), last + trigger.interval)
    scheduler.modify_job(job.id, jobstore=options.get("jobstore"), **changes)


def _find(scheduler: Any, job: Job, options: dict[str, Any]) -> Any:
    return scheduler.get_job(job.id, jobstore=options.get("jobstore"))


def _trigger(scheduler: Any, job: Job) -> IntervalTrigger:
    return IntervalTrigger(seconds=job.interval_seconds, timezone=scheduler.timezone)


def _due_at(job: Job) -> datetime:
    """Return when a job is due that was off until now."""
    now = datetime.now(UTC)
    try:
        run = JobRun.last_runs().get(job.id)
    except DATABASE_ERRORS:
        return now
    if run is None or run.started_at is None:
        return now
    return max(now, run.started_at + timedelta(seconds=job.interval_seconds))


def _log(job: Job) -> None:
    log.info("geo_job_scheduled", job=job.id, interval_seconds=job.interval_seconds)
