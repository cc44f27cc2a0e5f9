"""The jobs as tasks of Celery, and when beat sends them.

Imported where the Celery app is made, before Django's apps are loaded.
"""

from typing import Any, Final

from geocache import extras, jobs

with extras.needed("celery"):
    from celery import shared_task

# What a run may take beyond its time limit before Celery ends it: the batch at hand, and counting.
GRACE_SECONDS: Final = 300

geo_cache_flush = shared_task(name="geocache.geo_cache_flush")(jobs.geo_cache_flush)
geo_import = shared_task(name="geocache.geo_import")(jobs.geo_import)
geo_bans = shared_task(name="geocache.geo_bans")(jobs.geo_bans)
geo_database_update = shared_task(name="geocache.geo_database_update")(jobs.geo_database_update)
geo_refresh = shared_task(name="geocache.geo_refresh")(jobs.geo_refresh)
geo_prune = shared_task(name="geocache.geo_prune")(jobs.geo_prune)
geo_prune_history = shared_task(name="geocache.geo_prune_history")(jobs.geo_prune_history)


def beat_schedule(**options: Any) -> dict[str, dict[str, Any]]:
    """Return the entries of ``beat_schedule`` for the jobs that the settings want.

    ``options`` such as ``queue`` are those of ``apply_async``, for each task. A task that no worker
    has taken by the time that the next one is sent expires, so that none pile up.
    """
    return {
        job.id: {
            "task": f"geocache.{job.id}",
            "schedule": float(job.interval_seconds),
            "options": {
                "expires": float(job.interval_seconds),
                "time_limit": job.time_limit_seconds + GRACE_SECONDS,
                **options,
            },
        }
        for job in jobs.enabled_jobs()
    }
