"""The columns of an answer, as each table that keeps answers has them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from geocache.instants import InstantField
from geocache.location import FIELDS, Location


class AnswerFields(models.Model):
    """All of an answer but its address, which is the key of one table and not of the other.

    Django puts these before the fields of the table itself wherever a page names no order.
    """

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
    reason = models.CharField(_("reason"), max_length=20, blank=True)
    resolved_at = InstantField(_("resolved at"))

    class Meta:
        abstract = True

    def to_location(self, address: str | None = None) -> Location:
        """Return the row as an answer, for ``address`` when it stands in for a neighbour's."""
        values = {name: getattr(self, name) for name in FIELDS}
        return Location(**values | {"address": address or values["address"]})
