"""The lease of the scheduler."""

from datetime import datetime
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from geocache.locks.lease import Lease

# The lease of the process that runs the jobs.
SCHEDULER_LEASE: Final = "geo_scheduler"


class SchedulerLease(Lease):
    """Which scheduler runs the jobs; the others stand by until its lease runs out."""

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
