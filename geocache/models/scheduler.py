"""The lease of the scheduler."""

from datetime import timedelta
from typing import Final

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from geocache.location import EPOCH

# The lease of the process that runs the jobs.
SCHEDULER_LEASE: Final = "geo_scheduler"


class SchedulerLease(models.Model):
    """Which scheduler runs the jobs; the others stand by until its lease runs out."""

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=200, blank=True)
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name = _("lease of the scheduler")
        verbose_name_plural = _("leases of the scheduler")

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"

    @classmethod
    def take(cls, name: str, holder: str, *, seconds: int) -> bool:
        """Take or renew the lease; False while another scheduler holds it.

        A compare-and-set: of two schedulers at the same moment one changes the row. Their clocks
        may differ by less than ``seconds``.
        """
        now = timezone.now()
        cls.objects.get_or_create(name=name, defaults={"expires_at": EPOCH})
        # Nobody takes it for so long: the clock of who did was set back since.
        of_another_time = Q(expires_at__gt=now + 2 * timedelta(seconds=seconds))
        mine_or_free = Q(holder=holder) | Q(expires_at__lt=now) | of_another_time
        held = cls.objects.filter(mine_or_free, name=name)
        return bool(held.update(holder=holder, expires_at=now + timedelta(seconds=seconds)))

    @classmethod
    def release(cls, name: str, holder: str) -> None:
        """Give the lease back, if it is still held by ``holder``."""
        cls.objects.filter(name=name, holder=holder).update(expires_at=EPOCH)
