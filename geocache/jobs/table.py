"""Which jobs there are: how often each runs, how long it may take, and when it is enabled.

Settings are read when they are asked for. Imported without Django's apps.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from geocache import conf

MINUTE_SECONDS: Final = 60
HOUR_SECONDS: Final = 3_600
DAY_SECONDS: Final = 86_400

# Set by a process that ends: jobs that may take long then end after the batch at hand.
stopping: Final = threading.Event()


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Job:
    """A function of ``geocache.jobs``; its name is the id of the job, which never changes."""

    id: str
    read_interval: Callable[[], float]
    read_time_limit: Callable[[], float]
    read_enabled: Callable[[], object] = _always
    # What waits is written whenever one asks.
    is_always_due: bool = False

    @property
    def path(self) -> str:
        """Return where the function is, as APScheduler names it."""
        return f"geocache.jobs:{self.id}"

    @property
    def interval_seconds(self) -> float:
        """Return how often it runs by the present settings."""
        return self.read_interval()

    @property
    def time_limit_seconds(self) -> float:
        """Return how long one run may take; it ends after the batch at hand."""
        return self.read_time_limit()

    @property
    def is_enabled(self) -> bool:
        """Tell whether the present settings want it."""
        return bool(self.read_enabled())


def _wants_updates() -> bool:
    if not conf.get("UPDATE_DAYS"):
        return False
    # Downloads and archives, which no other job needs.
    from geocache.databases.update import is_used  # noqa: PLC0415

    return is_used()


# In the order in which one process runs them.
JOBS: Final = (
    Job(
        "geo_cache_flush",
        lambda: conf.get("FLUSH_INTERVAL_SECONDS"),
        lambda: conf.get("FLUSH_TIME_LIMIT_SECONDS"),
        is_always_due=True,
    ),
    Job(
        "geo_import",
        lambda: MINUTE_SECONDS,
        lambda: HOUR_SECONDS,
        lambda: conf.get("IMPORT_SOURCES"),
    ),
    Job(
        "geo_bans",
        lambda: MINUTE_SECONDS,
        lambda: 10 * MINUTE_SECONDS,
        lambda: conf.get("BAN_ACTION"),
    ),
    Job(
        "geo_database_update",
        lambda: HOUR_SECONDS,
        lambda: conf.get("UPDATE_TIME_LIMIT_SECONDS"),
        _wants_updates,
    ),
    Job(
        "geo_refresh",
        lambda: HOUR_SECONDS,
        lambda: conf.get("REFRESH_TIME_LIMIT_SECONDS"),
        lambda: conf.get("REFRESH_TIME_LIMIT_SECONDS"),
    ),
    Job(
        "geo_prune",
        lambda: DAY_SECONDS,
        lambda: 10 * MINUTE_SECONDS,
        lambda: conf.get("RETENTION_DAYS"),
    ),
    Job(
        "geo_licence",
        lambda: 6 * HOUR_SECONDS,
        lambda: 10 * MINUTE_SECONDS,
        lambda: conf.get("LICENCE_CLEANUP"),
    ),
    Job("geo_prune_history", lambda: DAY_SECONDS, lambda: MINUTE_SECONDS),
)


def find_job(job_id: str) -> Job:
    """Return the job with this id; raise ``ValueError`` when there is none."""
    for job in JOBS:
        if job.id == job_id:
            return job
    raise ValueError(f"there is no job {job_id!r}; choose of {', '.join(job.id for job in JOBS)}")


def enabled_jobs() -> list[Job]:
    """Return the jobs that the present settings want."""
    return [job for job in JOBS if job.is_enabled]
