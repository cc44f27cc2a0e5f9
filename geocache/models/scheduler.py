"""The lease of the scheduler and those of journals, and the last run of each job."""

from datetime import datetime
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from geocache.instants import InstantField, utc_now
from geocache.locks.lease import Lease
from geocache.locks.process_identity import is_gone
from geocache.models.written import WrittenModel
from geocache.text import storable

# Its tables hold the rows and executions of our jobs, beside those of the host.
SCHEDULER_APP: Final = "django_apscheduler"
# The lease of the process that runs the jobs.
SCHEDULER_LEASE: Final = "geo_scheduler"
ERROR_LENGTH: Final = 1_000


class SchedulerLease(WrittenModel, Lease):
    """Which scheduler runs the jobs; the others stand by until its lease runs out.

    Also which cache has the name of a journal: see ``geocache.journal.identity``.
    """

    name = models.CharField(max_length=100, primary_key=True)

    class Meta:
        verbose_name = _("lease of the scheduler")
        verbose_name_plural = _("leases of the scheduler")

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"

    @classmethod
    def of(cls, name: str) -> "SchedulerLease":
        """Return the lease ``name``, made when it is first asked for."""
        return cls.objects.get_or_create(name=name)[0]

    @classmethod
    def held_at(cls, at: datetime) -> "SchedulerLease | None":
        """Return the lease of the scheduler that runs at ``at``, or None."""
        return cls.objects.filter(name=SCHEDULER_LEASE, expires_at__gt=at).first()


class JobRun(WrittenModel, Lease):
    """The last run of one job, whatever started it; also the lease of the run at hand."""

    job = models.CharField(max_length=100, primary_key=True)
    # Of the last run that began; of one that was killed there is no end.
    started_at = InstantField(null=True)
    # Of the last run that ended.
    finished_at = InstantField(null=True)
    status = models.CharField(max_length=20, blank=True)
    seconds = models.FloatField(default=0.0)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name = _("last run of a job")
        verbose_name_plural = _("last runs of jobs")

    def __str__(self) -> str:
        return f"{self.job}: {self.status}"

    @classmethod
    def of(cls, job_id: str) -> "JobRun":
        """Return the run of a job as it is written, made when it is first asked for."""
        return cls.written().get_or_create(job=job_id)[0]

    @classmethod
    def last_runs(cls) -> dict[str, "JobRun"]:
        """Return the last run of each job that has run, by the job's id; only reads."""
        return {run.job: run for run in cls.objects.order_by("job")}

    @classmethod
    def note(cls, job_id: str, *, started_at: datetime, seconds: float) -> None:
        """Note that a command has done the work of a job, whose lease it does not need."""
        run = cls.of(job_id)
        run.written().filter(pk=run.pk).update(started_at=started_at)
        run.end(status="done", seconds=seconds)

    def has_begun_since(self, at: datetime) -> bool:
        """Tell whether the last run began at ``at`` or later."""
        return self.started_at is not None and self.started_at >= at

    def is_running(self, at: datetime) -> bool:
        """Tell whether a process runs the job at ``at``."""
        return bool(self.holder) and self.expires_at > at and not is_gone(self.holder)

    def has_ended(self) -> bool:
        """Tell whether the run that began last has ended, and was not killed."""
        if self.started_at is None or self.finished_at is None:
            return False
        return self.finished_at >= self.started_at

    def state(self, at: datetime) -> str:
        """Return how the last run is at ``at``: ``running``, ``killed``, or its status."""
        if self.is_running(at):
            return "running"
        return self.status if self.has_ended() else "killed"

    def begin(self) -> None:
        """Note that a run begins now."""
        self.written().filter(pk=self.pk).update(started_at=utc_now())

    def end(self, *, status: str, seconds: float, error: str = "") -> None:
        """Note how the run has ended."""
        self.written().filter(pk=self.pk).update(
            finished_at=utc_now(),
            status=status,
            seconds=seconds,
            error=storable(error)[:ERROR_LENGTH],
        )
