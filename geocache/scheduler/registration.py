"""Our jobs in a scheduler of APScheduler, ours or the host's."""

from datetime import UTC, datetime
from typing import Any

from geocache.jobs import JOBS


def add_jobs(scheduler: Any, **options: Any) -> list[str]:
    """Add the jobs that the settings want, remove those that they do not, and return the ids.

    Each is there once, however often this is called; jobs of others are left alone. ``options``
    such as ``jobstore`` and ``executor`` go to ``scheduler.add_job``.
    """
    added = []
    for job in JOBS:
        if job.is_enabled:
            scheduler.add_job(
                job.path,
                "interval",
                seconds=job.interval_seconds,
                id=job.id,
                name=job.id,
                # Due now: a process that is restarted every 59 seconds would never run anything.
                next_run_time=datetime.now(UTC),
                replace_existing=True,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
                **options,
            )
            added.append(job.id)
        elif scheduler.get_job(job.id, jobstore=options.get("jobstore")) is not None:
            scheduler.remove_job(job.id, jobstore=options.get("jobstore"))
    return added
