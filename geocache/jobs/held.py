"""The lease of a job, held while it runs: of two runs at once, on all machines, one works.

A process that is killed frees it at once for its own machine, and for others within
``LEASE_SECONDS``.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from django.db import connections

from geocache.exceptions import JobBusy
from geocache.locks.process_identity import describe, this_holder
from geocache.models import JobRun
from geocache.models.connection import DATABASE_ERRORS, drop_broken_connection

LEASE_SECONDS: Final = 120.0
# Three attempts before it lapses. Most runs have ended before the first.
RENEW_SECONDS: Final = 30.0
# A run that hangs is not waited for longer than this beyond its time limit.
GRACE_SECONDS: Final = 300.0


@contextmanager
def held(run: JobRun, time_limit_seconds: float) -> Iterator[Callable[[], bool]]:
    """Hold the lease of a job and give what tells whether it was lost; raise ``JobBusy``."""
    holder = this_holder()
    if not run.acquire(holder, LEASE_SECONDS):
        by = describe(JobRun.of(run.job).holder) or "another process"
        raise JobBusy(f"{by} runs it at this moment")
    ended, lost = threading.Event(), threading.Event()

    def renew() -> None:
        renewal_count = int((time_limit_seconds + GRACE_SECONDS) / RENEW_SECONDS)
        try:
            for _ in range(renewal_count):
                if ended.wait(RENEW_SECONDS):
                    return
                # A database that is away is asked again.
                with suppress(*DATABASE_ERRORS):
                    if not run.renew(holder, LEASE_SECONDS):
                        break
            lost.set()
        finally:
            # Those of this thread alone.
            connections.close_all()

    keeper = threading.Thread(target=renew, name=f"{run.job} lease", daemon=True)
    keeper.start()
    try:
        yield lost.is_set
    finally:
        ended.set()
        keeper.join()
        try:
            run.release(holder)
        except DATABASE_ERRORS:
            # The next run of this process takes it; for others it lapses.
            drop_broken_connection()
