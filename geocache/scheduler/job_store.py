"""Where the jobs are kept: in memory, and as rows that the admin of django-apscheduler shows.

All schedulers of a project share the table of django-apscheduler, and each runs what is due in it.
So ours reads no jobs from the table, and its rows there are paused: no other scheduler runs them.
"""

import pickle
from datetime import timedelta
from typing import Any

from django_apscheduler.jobstores import DjangoMemoryJobStore
from django_apscheduler.models import DjangoJob


class MirroredJobStore(DjangoMemoryJobStore):  # type: ignore[misc]  # django-apscheduler is not typed
    """Jobs in memory, each with a paused row in the table; their executions refer to it."""

    def __init__(self) -> None:
        super().__init__()
        # The intervals that the rows say, by the id of the job.
        self._written: dict[str, timedelta] = {}

    def add_job(self, job: Any) -> None:
        """Keep a job, and write its row: an earlier release left one that any scheduler runs."""
        super().add_job(job)
        self._write(job)

    def update_job(self, job: Any) -> None:
        """Keep when a job runs next; write its row again if its interval changed, or it is gone."""
        super().update_job(job)
        if self._written.get(job.id) == job.trigger.interval:
            DjangoJob.objects.get_or_create(id=job.id, defaults=_paused(job))
        else:
            self._write(job)

    def remove_job(self, job_id: str) -> None:
        """Forget a job that was switched off, and its row."""
        # First: while the database is away the job stays, and is removed by the next attempt.
        DjangoJob.objects.filter(id=job_id).delete()
        super().remove_job(job_id)

    def _write(self, job: Any) -> None:
        DjangoJob.objects.update_or_create(id=job.id, defaults=_paused(job))
        self._written[job.id] = job.trigger.interval


def _paused(job: Any) -> dict[str, Any]:
    """Return the columns of a paused job, which "Run the selected django jobs" can still run."""
    state = job.__getstate__() | {"next_run_time": None}
    return {"next_run_time": None, "job_state": pickle.dumps(state, pickle.HIGHEST_PROTOCOL)}
