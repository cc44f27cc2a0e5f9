"""The jobs in a scheduler of APScheduler that the host project has, with any job store."""

from geocache.scheduler.registration import add_jobs

__all__ = ["add_jobs"]
