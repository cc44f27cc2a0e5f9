"""What the admin shows of an answer, in its list and in full."""

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from geocache.history.spans import past_spans
from geocache.location import Location
from geocache.models import GeoCache
from geocache.templatetags.geo import country_flag, country_name, moment


class AnswerFields:
    """Columns and fields that are made of more than one field of a row."""

    @admin.display(description=_("country"))
    def country(self, row: GeoCache) -> str:
        """Return flag and name, or why there is none."""
        if row.reason:
            return f"({row.get_reason_display()})"
        name = country_name(row.country_code) or row.country_code
        return f"{country_flag(row.country_code)} {name}".strip()

    @admin.display(description=_("address"), ordering="sort_key")
    def address_text(self, row: GeoCache) -> str:
        """Return the address; sorted as numbers are, not as text."""
        return row.address

    @admin.display(description=_("operator"))
    def operator(self, row: GeoCache) -> str:
        """Return AS number and organization."""
        number = f"AS{row.asn}" if row.asn is not None else ""
        return f"{number} {row.organization}".strip()

    @admin.display(description=_("operator"), empty_value="")
    def operator_link(self, row: GeoCache) -> str:
        """Return a link to all addresses of the operator."""
        if row.asn is None:
            return row.organization
        return format_html('<a href="?asn={}">{}</a>', str(row.asn), self.operator(row))

    @admin.display(description=_("network"), empty_value="")
    def network_link(self, row: GeoCache) -> str:
        """Return a link to all addresses of the network."""
        if not row.network:
            return ""
        return format_html('<a href="?q={}">{}</a>', row.network, row.network)

    @admin.display(description=_("answer"))
    def outcome(self, row: GeoCache) -> str:
        """Return whether something is known, or why not."""
        return row.get_reason_display() or gettext("found")

    @admin.display(description=_("history"), empty_value="-")
    def past(self, row: GeoCache) -> str:
        """Return the answers of the past with their spans, one line each."""
        return format_html_join(
            SafeString("<br>"),
            "{} - {}: {}",
            (
                (moment(one.valid_from), moment(one.valid_until), _line(one.answer))
                for one in past_spans(row.address)
            ),
        )


def _line(answer: Location) -> str:
    country = country_name(answer.country_code) or answer.country_code
    operator = f"AS{answer.asn} {answer.organization}" if answer.asn else answer.organization
    return ", ".join(filter(None, (country or gettext("Nothing known"), answer.city, operator)))
