"""How far the journal is flushed, what each flush did, and what the database refused."""

from datetime import datetime
from typing import ClassVar, Final

from django.db import models
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from geocache.instants import InstantField
from geocache.models.written import WrittenModel

# Old runs that one flush deletes; it makes at most one.
FORGOTTEN_RUNS: Final = 500


class JournalHead(WrittenModel):
    """How far one journal is flushed, moved in the transaction of the upsert.

    Read and written in one database, whatever replica a router reads other tables from.
    """

    # The cache's alias and the database's id: a copy of the database has a journal of its own.
    alias = models.CharField(max_length=100, primary_key=True)
    # Every segment up to this one is in the table.
    flushed_through = models.BigIntegerField(default=0)
    # Every segment up to this one is also deleted from the cache.
    deleted_through = models.BigIntegerField(default=0)
    # How many answers all flushes have written. Compared with a copy in the cache, it tells how
    # many are missing from a database that was restored to an earlier state.
    written_count = models.BigIntegerField(default=0)
    # The cache's number of the last flush, 0 before the first. It only goes up, unless the cache
    # was emptied, or restored to an earlier state.
    flush_number = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("head of the journal")
        verbose_name_plural = _("heads of the journal")

    def __str__(self) -> str:
        return f"{self.alias}: {self.flushed_through}"

    @classmethod
    def of(cls, alias: str) -> "JournalHead":
        """Return the head of the journal ``alias``, made when it is first asked for."""
        return cls.written().get_or_create(alias=alias)[0]

    @classmethod
    def flushed_through_of(cls, alias: str) -> int:
        """Return how far the journal ``alias`` is flushed; only reads."""
        head = cls.written().filter(alias=alias).first()
        return head.flushed_through if head else 0

    @classmethod
    def lock(cls) -> None:
        """Have all that writes answers from before now wait for the end of this transaction.

        By an update: that locks on every database, and what is read after it is read from now.
        """
        cls.written().update(flushed_through=models.F("flushed_through"))

    @classmethod
    def advance(
        cls, alias: str, *, flushed_through: int = 0, deleted_through: int = 0, written: int = 0
    ) -> None:
        """Move a head up, never down: another flusher may be further already."""
        cls.written().filter(alias=alias).update(
            flushed_through=Greatest("flushed_through", flushed_through),
            deleted_through=Greatest("deleted_through", deleted_through),
            written_count=models.F("written_count") + written,
        )


class FlushRun(WrittenModel):
    """One flush that did something."""

    started_at = InstantField(_("started at"))
    seconds = models.FloatField(_("seconds"))
    flushed = models.PositiveIntegerField(_("flushed"))
    rejected = models.PositiveIntegerField(_("rejected"))
    # Records that the cache had and lost; each held one answer, or up to 200.
    lost = models.PositiveIntegerField(_("lost records"), default=0)
    pending = models.PositiveIntegerField(_("pending"))
    timed_out = models.BooleanField(_("timed out"))
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("flush")
        verbose_name_plural = _("flushes")
        ordering: ClassVar = ["-started_at"]
        # The newest run, and those old enough to be forgotten.
        indexes: ClassVar = [models.Index(fields=["started_at"], name="geocache_flush_started")]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M:%S}: {self.flushed}"

    @classmethod
    def forget_before(cls, oldest: datetime) -> None:
        """Delete the oldest of the runs before ``oldest``: some of them, which is quick."""
        runs = cls.written().filter(started_at__lt=oldest)
        keys = list(runs.order_by("started_at").values_list("pk", flat=True)[:FORGOTTEN_RUNS])
        if keys:
            cls.objects.filter(pk__in=keys).delete()


class RejectedEntry(models.Model):
    """An answer that the database refused, or a record that could not be read."""

    address = models.CharField(_("address"), max_length=100, blank=True)
    # The text of the journal record, so that nothing is lost and it can be tried again.
    record = models.TextField(_("record"))
    error = models.TextField(_("error"))
    rejected_at = InstantField(_("rejected at"), default=timezone.now)

    class Meta:
        verbose_name = _("rejected entry")
        verbose_name_plural = _("rejected entries")
        ordering: ClassVar = ["-rejected_at"]

    def __str__(self) -> str:
        return self.address or self.error[:50]
