"""Where the jobs are kept: in memory, and as rows that the admin of django-apscheduler shows.

All schedulers of a project share the table of django-apscheduler, and each runs what is due in it.
So ours reads no jobs from the table, and its rows there are paused: no other scheduler runs them.
"""

import pickle
from typing import Any

from django_apscheduler.jobstores import DjangoMemoryJobStore
from django_apscheduler.models import DjangoJob


class MirroredJobStore(DjangoMemoryJobStore):  # type: ignore[misc]  # django-apscheduler is not typed
    """Jobs in memory, each with a paused row in the table; their executions refer to it."""

    def add_job(self, job: Any) -> None:
        """Keep a job, and write its row: an earlier release left one that any scheduler runs."""
        super().add_job(job)
        DjangoJob.objects.update_or_create(id=job.id, defaults=_paused(job))

    def update_job(self, job: Any) -> None:
        """Keep when a job runs next, and write its row again if another program deleted it."""
        super().update_job(job)
        DjangoJob.objects.get_or_create(id=job.id, defaults=_paused(job))


def _paused(job: Any) -> dict[str, Any]:
    """Return the columns of a paused job, which "Run the selected django jobs" can still run."""
    state = job.__getstate__() | {"next_run_time": None}
    return {"next_run_time": None, "job_state": pickle.dumps(state, pickle.HIGHEST_PROTOCOL)}
