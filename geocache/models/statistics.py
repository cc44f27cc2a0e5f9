"""Counts of the whole table."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from geocache.instants import InstantField


class Statistics(models.Model):
    """The counts of the whole table: to count millions for a page is too slow.

    One row has what releases up to 0.2.0 read, which refuse a text with more in it, and another one
    what came later.
    """

    # COUNTS or KINDS: a new count replaces the last one.
    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    made_at = InstantField()
    # How long it took to count.
    seconds = models.FloatField()
    # The newest flush that is counted in; 0 if there was none.
    last_run = models.BigIntegerField()
    # JSON of the counts, as ``geocache.statistics.table`` has them.
    figures = models.TextField()

    class Meta:
        verbose_name = _("statistics")
        verbose_name_plural = _("statistics")

    def __str__(self) -> str:
        return f"{self.made_at:%Y-%m-%d %H:%M:%S}"
