"""The jobs as plain functions, for any scheduler: cron, Celery, Django tasks, APScheduler.

Each holds a lease, keeps a time limit, reads the settings at each run, and returns a report that is
plain JSON. This module can be imported before Django's apps are loaded, as Celery apps are made.
"""

from collections.abc import Callable

from geocache.jobs.report import JobReport, Status
from geocache.jobs.table import JOBS, Job, enabled_jobs, stopping

__all__ = [
    "JOBS",
    "Job",
    "JobReport",
    "Status",
    "enabled_jobs",
    "geo_bans",
    "geo_cache_flush",
    "geo_database_update",
    "geo_import",
    "geo_licence",
    "geo_prune",
    "geo_prune_history",
    "geo_refresh",
    "run_job",
    "stopping",
]


def run_job(
    job_id: str,
    *,
    is_only_due: bool = False,
    is_forced: bool = False,
    time_limit_seconds: float | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> JobReport:
    """Run one job, and return what came of it; a known error is a report, too.

    ``is_only_due`` leaves out a job that has run within its interval. ``is_forced`` has databases
    and lists looked at that are not due. ``time_limit_seconds`` can only shorten the job's own time
    limit. ``is_stopped`` is asked between two batches. Raises ``ValueError`` for
    a job that does not exist, and ``RuntimeError`` inside a transaction.
    """
    # Its models need Django's apps to be loaded.
    from geocache.jobs.run import Options, run  # noqa: PLC0415

    options = Options(
        is_only_due=is_only_due,
        is_forced=is_forced,
        time_limit_seconds=time_limit_seconds,
        is_stopped=is_stopped,
    )
    return run(job_id, options)


def geo_cache_flush() -> JobReport:
    """Write the dirty answers to the table; what fails is tried again next time."""
    return run_job("geo_cache_flush")


def geo_import() -> JobReport:
    """Import the lists of ``IMPORT_SOURCES`` that are due, each content once."""
    return run_job("geo_import")


def geo_bans() -> JobReport:
    """Apply and end the bans that are due though no import did."""
    return run_job("geo_bans")


def geo_database_update() -> JobReport:
    """Fetch newer databases, each once in ``UPDATE_DAYS``; look-ups find them by themselves."""
    return run_job("geo_database_update")


def geo_refresh() -> JobReport:
    """Resolve rows again that may be wrong by now; what costs is left to ``refresh_geo``."""
    return run_job("geo_refresh")


def geo_prune() -> JobReport:
    """Remove rows not asked for in ``RETENTION_DAYS``; the next day's run takes the rest."""
    return run_job("geo_prune")


def geo_licence() -> JobReport:
    """Refresh or remove what its licence does not allow to be kept; the next run takes the rest."""
    return run_job("geo_licence")


def geo_prune_history() -> JobReport:
    """Forget runs of the flush, and executions of our jobs, older than ``HISTORY_DAYS``."""
    return run_job("geo_prune_history")
