"""The table of answers and what is known about its filling. QuerySets are the vocabulary."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, ClassVar, Final, Self

from django.db import connections, models, router, transaction
from django.db.models import Q
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from geocache.addresses import networks_around, parse_address, sort_key
from geocache.locations import EPOCH, FIELDS, NOT_FOUND, Location
from geocache.upserts import Upsert


class Reason(models.TextChoices):
    """Why an answer is empty."""

    NOT_FOUND = "not_found", _("not found")
    UNAVAILABLE = "unavailable", _("not available now")
    PRIVATE = "private", _("private")
    LOOPBACK = "loopback", _("loopback")
    LINK_LOCAL = "link_local", _("link-local")
    MULTICAST = "multicast", _("multicast")
    SHARED = "shared", _("shared by a carrier")
    DOCUMENTATION = "documentation", _("documentation")
    UNSPECIFIED = "unspecified", _("unspecified")
    RESERVED = "reserved", _("reserved")


class GeoCacheQuerySet(models.QuerySet["GeoCache"]):
    """What one can ask of the table of answers, and how it is filled."""

    def fresh(self, *, found_since: datetime, not_found_since: datetime) -> Self:
        """Return rows young enough to stand in for an answer of the provider."""
        found = Q(reason="", resolved_at__gte=found_since)
        return self.filter(found | Q(reason=NOT_FOUND, resolved_at__gte=not_found_since))

    def in_network(self, network: IPv4Network | IPv6Network) -> Self:
        """Return rows of addresses inside ``network``; a range of the index on ``sort_key``."""
        first, last = network.network_address, network.broadcast_address
        return self.filter(sort_key__range=(sort_key(first), sort_key(last)))

    def covering(self, addresses: Iterable[IPv4Address | IPv6Address]) -> Self:
        """Return rows whose answer holds for a whole network around one of ``addresses``."""
        networks = {text for address in addresses for text in networks_around(address)}
        return self.filter(network__in=networks)

    def upsert(self, locations: Iterable[Location]) -> None:
        """Write answers, one an address and in one order; an older never replaces a newer one.

        In one transaction, or a savepoint of the one that is open. Raises what the database raises.
        """
        # Always the same order, so that two flushers at once cannot wait for each other's rows.
        rows = [_row(location) for location in sorted(locations, key=lambda one: one.address)]
        using = router.db_for_write(self.model)
        with transaction.atomic(using=using):
            Upsert(
                connection=connections[using],
                model=self.model,
                fields=ROW_FIELDS,
                newest_by="resolved_at",
                insert_only=["created_at"],
            ).write(rows)


class GeoCache(models.Model):
    """The newest answer for one address."""

    address = models.GenericIPAddressField(_("address"), primary_key=True)
    # 32 hexadecimal digits: sorts, and finds the addresses of a network, on every database.
    sort_key = models.CharField(max_length=32, editable=False)
    network = models.CharField(_("network"), max_length=43, blank=True)
    country_code = models.CharField(_("country"), max_length=2, blank=True)
    region = models.CharField(_("region"), max_length=200, blank=True)
    city = models.CharField(_("city"), max_length=200, blank=True)
    postal_code = models.CharField(_("postal code"), max_length=200, blank=True)
    latitude = models.FloatField(_("latitude"), null=True, blank=True)
    longitude = models.FloatField(_("longitude"), null=True, blank=True)
    accuracy_radius_km = models.PositiveSmallIntegerField(_("accuracy (km)"), null=True, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=200, blank=True)
    asn = models.BigIntegerField(_("AS number"), null=True, blank=True)
    organization = models.CharField(_("operator"), max_length=200, blank=True)
    source = models.CharField(_("source"), max_length=200, blank=True)
    reason = models.CharField(_("reason"), max_length=20, blank=True, choices=Reason.choices)
    resolved_at = models.DateTimeField(_("resolved at"))
    created_at = models.DateTimeField(_("first resolved at"))

    objects: ClassVar[models.Manager["GeoCache"]] = GeoCacheQuerySet.as_manager()

    class Meta:
        verbose_name = _("address")
        verbose_name_plural = _("addresses")
        indexes: ClassVar = [
            # in_network(), and addresses in their order.
            models.Index(fields=["sort_key"], name="geocache_sort_key"),
            # covering(): an address inside an answered network costs a metered provider no query.
            models.Index(fields=["network"], name="geocache_network"),
            # The admin's list, newest first, and its date hierarchy.
            models.Index(fields=["resolved_at"], name="geocache_resolved_at"),
            # The admin's filter by country, newest first.
            models.Index(fields=["country_code", "resolved_at"], name="geocache_country"),
        ]

    def __str__(self) -> str:
        return self.address

    def to_location(self, address: str | None = None) -> Location:
        """Return the row as an answer, for ``address`` when it stands in for a neighbour's."""
        values = {name: getattr(self, name) for name in FIELDS}
        return Location(**values | {"address": address or self.address})


ROW_FIELDS: Final = (*FIELDS, "sort_key", "created_at")


def _row(location: Location) -> tuple[Any, ...]:
    """Return the values of ``ROW_FIELDS`` for an answer; raise ``InvalidAddress``."""
    key = sort_key(parse_address(location.address))
    return (*(getattr(location, name) for name in FIELDS), key, location.resolved_at)


class JournalHead(models.Model):
    """How far the journal of one cache is flushed, moved in the transaction of the upsert."""

    alias = models.CharField(max_length=100, primary_key=True)
    # Every segment up to this one is in the table.
    position = models.BigIntegerField(default=0)
    # Every segment up to this one is also deleted from the cache.
    trimmed = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.alias}: {self.position}"

    @classmethod
    def of(cls, alias: str) -> "JournalHead":
        """Return the head of the journal in cache ``alias``, made when it is first asked for."""
        return cls.objects.get_or_create(alias=alias)[0]

    @classmethod
    def advance(cls, alias: str, *, position: int = 0, trimmed: int = 0) -> None:
        """Move a head up, never down: another flusher may be further already."""
        cls.objects.filter(alias=alias).update(
            position=Greatest("position", position), trimmed=Greatest("trimmed", trimmed)
        )


class FlushRun(models.Model):
    """One flush that did something."""

    started_at = models.DateTimeField(_("started at"))
    seconds = models.FloatField(_("seconds"))
    flushed = models.PositiveIntegerField(_("flushed"))
    rejected = models.PositiveIntegerField(_("rejected"))
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


class SchedulerLease(models.Model):
    """Which scheduler runs the jobs; the others stand by until its lease runs out."""

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=200, blank=True)
    expires_at = models.DateTimeField()

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
        mine_or_free = Q(holder=holder) | Q(expires_at__lt=now)
        held = cls.objects.filter(mine_or_free, name=name)
        return bool(held.update(holder=holder, expires_at=now + timedelta(seconds=seconds)))

    @classmethod
    def release(cls, name: str, holder: str) -> None:
        """Give the lease back, if it is still held by ``holder``."""
        cls.objects.filter(name=name, holder=holder).update(expires_at=EPOCH)
