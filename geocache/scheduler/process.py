"""The process that runs the jobs; the only user of APScheduler.

Of several such processes one runs the jobs and the others stand by: two would run every job twice.
Which one it is says a lease in the database. What django-apscheduler leaves to its users is done
here: jobs are registered at every start, and rows of jobs that are switched off are removed.
"""

import time
from collections.abc import Callable
from datetime import UTC
from typing import Final

from apscheduler.schedulers.background import BackgroundScheduler
from django.db import close_old_connections, connections
from django_apscheduler.models import DjangoJob

from geocache.jobs import JOBS, enabled_jobs, geo_cache_flush, stopping
from geocache.locks.process_identity import describe, this_holder
from geocache.log import get_logger
from geocache.models import SchedulerLease
from geocache.models.connection import DATABASE_ERRORS
from geocache.models.scheduler import SCHEDULER_LEASE
from geocache.runtime_settings import overrides
from geocache.scheduler.job_store import MirroredJobStore
from geocache.scheduler.registration import add_jobs, follow_settings

log = get_logger(__name__)

# The stand-by takes over within LEASE_SECONDS after the holder was killed.
LEASE_SECONDS: Final = 30
RENEW_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.2
# A clock that goes back by less only makes the next run as much later.
CLOCK_STEP_SECONDS: Final = 2.0


class Scheduler(BackgroundScheduler):  # type: ignore[misc]  # APScheduler is not typed
    """A scheduler whose thread outlives a database that is away or locked for a while."""

    @property
    def is_alive(self) -> bool:
        """Tell whether its thread still runs."""
        return self._thread is not None and self._thread.is_alive()

    def _main_loop(self) -> None:
        try:
            super()._main_loop()
        finally:
            connections.close_all()

    def _process_jobs(self) -> float | None:
        try:
            wait_seconds: float | None = super()._process_jobs()
        except DATABASE_ERRORS as error:
            log.error("geo_scheduler_database_away", error=str(error))
            close_old_connections()
            return RENEW_SECONDS
        return wait_seconds


def start_scheduler() -> Scheduler:
    """Start a scheduler with our jobs, each once and due at once.

    Raises ``DatabaseError`` when the database is away.
    """
    ours = enabled_jobs()
    disabled = {job.id for job in JOBS}.difference(job.id for job in ours)
    DjangoJob.objects.filter(id__in=disabled).delete()
    scheduler = Scheduler(timezone=UTC)
    scheduler.add_jobstore(MirroredJobStore(), "default")
    add_jobs(scheduler)
    scheduler.start()
    for job in ours:
        log.info("geo_job_scheduled", job=job.id, interval_seconds=job.interval_seconds)
    return scheduler


class LeasedScheduler:
    """A scheduler that runs the jobs while its process holds the lease."""

    def __init__(self) -> None:
        self.holder = this_holder()
        self.scheduler: Scheduler | None = None
        self.is_standing_by = False
        self._clock_offset = clock_offset()

    def tick(self) -> None:
        """Take or renew the lease, and start or stop the scheduler accordingly."""
        close_old_connections()
        if self._was_clock_set_back():
            # Its next runs are moments of the old time, and might be hours away.
            log.warning("geo_scheduler_clock_set_back")
            self.stop()
        try:
            is_mine = SchedulerLease.of(SCHEDULER_LEASE).acquire(self.holder, LEASE_SECONDS)
            # One that stands by follows, too: its log has a level.
            overrides.refresh()
            if is_mine:
                self._run_jobs()
        except DATABASE_ERRORS as error:
            # Nobody can say whose the lease is now; the jobs cannot do anything either.
            log.error("geo_scheduler_database_away", error=str(error))
            return
        if not is_mine:
            # Stopped for longer than the lease (a suspended machine): another has taken over.
            self.stop()
            if not self.is_standing_by:
                log.info("geo_scheduler_standing_by", holder=describe(self.holder))
        self.is_standing_by = not is_mine

    def _run_jobs(self) -> None:
        if self.scheduler is not None and self.scheduler.is_alive:
            follow_settings(self.scheduler)
            return
        self.stop()
        self.scheduler = start_scheduler()

    def _was_clock_set_back(self) -> bool:
        before, self._clock_offset = self._clock_offset, clock_offset()
        return self._clock_offset < before - CLOCK_STEP_SECONDS

    def stop(self) -> None:
        """Stop the scheduler, if it runs, behind the job at hand."""
        if self.scheduler is not None:
            stopping.set()
            self.scheduler.shutdown(wait=True)
            self.scheduler = None
            stopping.clear()

    def leave(self) -> None:
        """Stop, flush once more, and give the lease back."""
        self.stop()
        geo_cache_flush()
        try:
            SchedulerLease.of(SCHEDULER_LEASE).release(self.holder)
        except DATABASE_ERRORS as error:
            log.warning("geo_scheduler_lease_not_released", error=str(error))
        log.info("geo_scheduler_stopped", holder=describe(self.holder))


def run_scheduler(is_stopped: Callable[[], bool]) -> None:
    """Run the jobs, or stand by for the process that does, until ``is_stopped``.

    Then the running job is finished and the journal flushed once more. A database that is away is
    waited for.
    """
    leased = LeasedScheduler()
    try:
        while not is_stopped():
            leased.tick()
            _wait(is_stopped, RENEW_SECONDS)
    finally:
        leased.leave()


def clock_offset() -> float:
    """Return how far the clock is from one that nobody sets, in seconds."""
    return time.time() - time.monotonic()


def _wait(is_stopped: Callable[[], bool], seconds: float) -> None:
    # Not an Event: one that a signal handler sets can lock out the thread that waits for it.
    until = time.monotonic() + seconds
    while not is_stopped() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
