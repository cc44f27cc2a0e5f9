"""The columns of an answer, as each table that keeps answers has them."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from django.db import models
from django.utils.translation import gettext_lazy as _

from geocache.country_groups import completed
from geocache.instants import InstantField
from geocache.location import FIELDS, NO_DETAILS, PLAIN, Details, Location, Subdivision

if TYPE_CHECKING:
    Base = models.CharField[Any, Any]
else:
    Base = models.CharField

# Before, between and after the labels of a column: one is found by ``LIKE '%,tor_exit_node,%'``.
COMMA: Final = ","


class TraitsField(Base):
    """The traits of an answer, a tuple of labels, as one text with a comma around each."""

    def from_db_value(self, value: str | None, *_: Any) -> tuple[str, ...]:
        """Return the labels."""
        return traits_of(value) if value else ()

    def to_python(self, value: Any) -> tuple[str, ...]:
        """Return the labels that a fixture or a form holds."""
        return traits_of(value) if isinstance(value, str) else tuple(value or ())

    def get_prep_value(self, value: Any) -> str:
        """Return the text for labels; a text is what a query compares with."""
        return value if isinstance(value, str) else traits_text(sorted(set(value or ())))

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        """Return the text for labels that a row is given, sorted: also for those of a text."""
        if not hasattr(value, "resolve_expression"):
            value = tuple(sorted(set(self.to_python(value))))
        return super().get_db_prep_save(value, connection)

    def value_to_string(self, obj: models.Model) -> str:
        """Return the text for a fixture."""
        return self.get_prep_value(self.value_from_object(obj))


class AnswerFields(models.Model):
    """All of an answer but its address, which is the key of one table and not of the other.

    Django puts these before the fields of the table itself wherever a page names no order. Those
    with a default of the database came after 0.2.0, which may still write rows during an upgrade.
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
    continent_code = models.CharField(
        _("continent"), max_length=2, blank=True, default="", db_default=""
    )
    is_in_european_union = models.BooleanField(
        _("in the European Union"), default=False, db_default=False
    )
    registered_country_code = models.CharField(
        _("country of registration"), max_length=2, blank=True, default="", db_default=""
    )
    region_code = models.CharField(
        _("code of the region"), max_length=10, blank=True, default="", db_default=""
    )
    subdivisions = models.JSONField(_("subdivisions"), null=True, blank=True)
    metro_code = models.PositiveIntegerField(_("metro code"), null=True, blank=True)
    traits = TraitsField(
        _("kind of network"), max_length=500, blank=True, default="", db_default=""
    )
    isp = models.CharField(_("ISP"), max_length=200, blank=True, default="", db_default="")
    domain = models.CharField(_("domain"), max_length=200, blank=True, default="", db_default="")
    connection_type = models.CharField(
        _("connection"), max_length=40, blank=True, default="", db_default=""
    )
    user_type = models.CharField(_("users"), max_length=40, blank=True, default="", db_default="")
    mobile_country_code = models.CharField(
        _("mobile country code"), max_length=8, blank=True, default="", db_default=""
    )
    mobile_network_code = models.CharField(
        _("mobile network code"), max_length=8, blank=True, default="", db_default=""
    )
    details = models.JSONField(_("details"), null=True, blank=True)
    given_by = models.CharField(
        _("sources of the fields"), max_length=100, blank=True, default="", db_default=""
    )

    class Meta:
        abstract = True

    def to_location(self, address: str | None = None) -> Location:
        """Return the row as an answer, for ``address`` when it stands in for a neighbour's."""
        values = {name: getattr(self, name) for name in FIELDS}
        return location_of(values | {"address": address or values["address"]})


def location_of(values: Mapping[str, Any]) -> Location:
    """Return the answer whose fields are the values of a row, as Django gives them."""
    fields = {
        **values,
        "subdivisions": _subdivisions(values["subdivisions"]) if values["subdivisions"] else (),
        "details": _details(values["details"]) if values["details"] else NO_DETAILS,
    }
    # Rows of earlier releases, which knew neither.
    return Location(**completed(fields))


def traits_of(text: str) -> tuple[str, ...]:
    """Return the labels in a text of ``traits_text``."""
    return tuple(filter(None, text.split(COMMA)))


def traits_text(traits: Iterable[str]) -> str:
    """Return the text of a column for labels: empty for none."""
    joined = COMMA.join(traits)
    return f"{COMMA}{joined}{COMMA}" if joined else ""


def json_text(value: Any) -> str | None:
    """Return the JSON of a column for subdivisions or details: NULL for none."""
    if not value:
        return None
    return msgspec.json.encode(dict(value) if isinstance(value, Mapping) else value).decode()


# Any JSON may be in a column, if not by this app: a wrong one would end each list that it is in.
def _subdivisions(given: Any) -> tuple[Subdivision, ...]:
    try:
        return msgspec.convert(given, tuple[Subdivision, ...])
    except msgspec.ValidationError:
        return ()


def _details(given: Any) -> Details:
    if not isinstance(given, dict):
        return NO_DETAILS
    return Details.of({name: one for name, one in given.items() if isinstance(one, PLAIN)})
