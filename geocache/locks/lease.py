"""A lease in the database: one process at a time, on all machines, until it stops renewing it."""

from datetime import timedelta
from typing import Any

from django.db import Error, models, router
from django.db.models import Q
from django.db.models.functions import Now

from geocache.instants import InstantField
from geocache.location import EPOCH
from geocache.locks.process_identity import is_gone

# Holders of this process that have ended, but that a database that was away may still name.
_unreleased: set[str] = set()


class DatabaseTime(Now):
    """The database's own time in UTC: the clocks of its clients may differ by hours."""

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # The session of a connection may be in another time zone.
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **context)


class Lease(models.Model):
    """A row that one process at a time may hold; ``holder`` is a process identity."""

    holder = models.CharField(max_length=200, blank=True, editable=False)
    expires_at = InstantField(default=EPOCH, editable=False)

    class Meta:
        abstract = True

    def acquire(self, holder: str, seconds: float) -> bool:
        """Take or renew the lease for ``holder``; False while another process has it.

        A compare-and-set: of two processes at the same moment one changes the row.
        """
        now = DatabaseTime()
        own_or_free = Q(holder=holder) | Q(expires_at__lt=now)
        # No lease lasts so long: the clock of the database was set back since.
        own_or_free |= Q(expires_at__gt=now + 2 * timedelta(seconds=seconds))
        seen = self._row().values_list("holder", flat=True).first()
        if seen and (seen in _unreleased or is_gone(seen)):
            own_or_free |= Q(holder=seen)
        until = now + timedelta(seconds=seconds)
        try:
            count = self._row().filter(own_or_free).update(holder=holder, expires_at=until)
        except Error:
            # It may have been committed all the same.
            _unreleased.add(holder)
            raise
        _unreleased.discard(holder)
        return bool(count)

    def renew(self, holder: str, seconds: float) -> bool:
        """Renew the lease of ``holder``; False when another process has it by now.

        In the transaction of a write it keeps a holder that was stopped for too long from writing.
        """
        until = DatabaseTime() + timedelta(seconds=seconds)
        return bool(self._row().filter(holder=holder).update(expires_at=until))

    def release(self, holder: str) -> None:
        """Give the lease back, if ``holder`` still has it.

        Where the database is away, the next of this process takes it all the same.
        """
        _unreleased.add(holder)
        self._row().filter(holder=holder).update(holder="", expires_at=EPOCH)
        _unreleased.discard(holder)

    def _row(self) -> "models.QuerySet[Lease]":
        # A replica may still show the holder before.
        rows = type(self)._default_manager.using(router.db_for_write(type(self)))
        return rows.filter(pk=self.pk)
