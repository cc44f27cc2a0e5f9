"""How far the journal is flushed, what each flush did, and what the database refused."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from geocache.models.connection import writing_alias


class JournalHead(models.Model):
    """How far the journal of one cache is flushed, moved in the transaction of the upsert."""

    alias = models.CharField(max_length=100, primary_key=True)
    # Every segment up to this one is in the table.
    flushed_through = models.BigIntegerField(default=0)
    # Every segment up to this one is also deleted from the cache.
    deleted_through = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("head of the journal")
        verbose_name_plural = _("heads of the journal")

    def __str__(self) -> str:
        return f"{self.alias}: {self.flushed_through}"

    @classmethod
    def of(cls, alias: str) -> "JournalHead":
        """Return the head of the journal in cache ``alias``, made when it is first asked for."""
        return cls.objects.get_or_create(alias=alias)[0]

    @classmethod
    def flushed_through_of(cls, alias: str) -> int:
        """Return how far the journal in cache ``alias`` is flushed; only reads."""
        head = cls.objects.using(writing_alias()).filter(alias=alias).first()
        return head.flushed_through if head else 0

    @classmethod
    def advance(cls, alias: str, *, flushed_through: int = 0, deleted_through: int = 0) -> None:
        """Move a head up, never down: another flusher may be further already."""
        cls.objects.filter(alias=alias).update(
            flushed_through=Greatest("flushed_through", flushed_through),
            deleted_through=Greatest("deleted_through", deleted_through),
        )


class FlushRun(models.Model):
    """One flush that did something."""

    started_at = models.DateTimeField(_("started at"))
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


class RejectedEntry(models.Model):
    """An answer that the database refused, or a record that could not be read."""

    address = models.CharField(_("address"), max_length=100, blank=True)
    # The text of the journal record, so that nothing is lost and it can be tried again.
    record = models.TextField(_("record"))
    error = models.TextField(_("error"))
    rejected_at = models.DateTimeField(_("rejected at"), default=timezone.now)

    class Meta:
        verbose_name = _("rejected entry")
        verbose_name_plural = _("rejected entries")
        ordering: ClassVar = ["-rejected_at"]

    def __str__(self) -> str:
        return self.address or self.error[:50]
