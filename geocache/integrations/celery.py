"""The jobs as tasks of Celery, and when beat sends them.

Imported where the Celery app is made, before Django's apps are loaded.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from django.apps import apps

from geocache import background, extras, jobs
from geocache.jobs.table import find_job

with extras.needed("celery"):
    from celery import shared_task
    from celery.schedules import BaseSchedule, schedstate, schedule

# What a run may take beyond its time limit before Celery ends it: the batch at hand, and counting.
GRACE_SECONDS: Final = 300
# How soon beat notices that an interval has become shorter, beside the life of what it knows.
CHECK_SECONDS: Final = 5.0

geo_cache_flush = shared_task(name="geocache.geo_cache_flush")(jobs.geo_cache_flush)
geo_import = shared_task(name="geocache.geo_import")(jobs.geo_import)
geo_bans = shared_task(name="geocache.geo_bans")(jobs.geo_bans)
geo_database_update = shared_task(name="geocache.geo_database_update")(jobs.geo_database_update)
geo_refresh = shared_task(name="geocache.geo_refresh")(jobs.geo_refresh)
geo_prune = shared_task(name="geocache.geo_prune")(jobs.geo_prune)
geo_licence = shared_task(name="geocache.geo_licence")(jobs.geo_licence)
geo_prune_history = shared_task(name="geocache.geo_prune_history")(jobs.geo_prune_history)


class JobSchedule(schedule):  # type: ignore[misc]  # Celery is not typed
    """When beat sends the task of one job, by the settings of that moment.

    A job that is off is never due. ``given`` are the options that the project gives, and
    ``options`` all of them, as its entry in the schedule of beat has them: limits follow there.
    """

    def __init__(self, job_id: str, given: dict[str, Any], options: dict[str, Any]) -> None:
        self.job = find_job(job_id)
        self.given, self.options = given, options
        BaseSchedule.__init__(self)
        self.relative = False

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.job.id, self.given, self.options)

    @property
    def run_every(self) -> timedelta:
        """Return the interval, which Celery reads whenever it asks what is due."""
        return timedelta(seconds=self.job.interval_seconds)

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Return whether the task is due, and in how many seconds beat has to ask again."""
        # Beat serves no request, and looks up nothing.
        if apps.ready:
            background.start()
        if not self.job.is_enabled:
            return schedstate(False, CHECK_SECONDS)
        self.options.update(_limits(self.job) | self.given)
        is_due, seconds = super().is_due(last_run_at)
        return schedstate(is_due, min(seconds, CHECK_SECONDS))


def beat_schedule(**options: Any) -> dict[str, dict[str, Any]]:
    """Return the entries of ``beat_schedule``, one for each job; those that are off send nothing.

    ``options`` such as ``queue`` are those of ``apply_async``, for each task. A task that no worker
    has taken by the time that the next one is sent expires, so that none pile up.
    """
    return {job.id: _entry(job, options) for job in jobs.JOBS}


def _entry(job: jobs.Job, options: dict[str, Any]) -> dict[str, Any]:
    all_options = _limits(job) | options
    return {
        "task": f"geocache.{job.id}",
        "schedule": JobSchedule(job.id, options, all_options),
        "options": all_options,
    }


def _limits(job: jobs.Job) -> dict[str, float]:
    return {
        "expires": float(job.interval_seconds),
        "time_limit": job.time_limit_seconds + GRACE_SECONDS,
    }
