"""What the admin shows of an answer, in its list and in full."""

from django.contrib import admin
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from geocache import countries
from geocache.location import Location
from geocache.models import GeoCache
from geocache.place_names import in_language


class AnswerColumns:
    """Columns and fields that are made of more than one field of a row."""

    @admin.display(description=_("country"))
    def country(self, row: GeoCache) -> str:
        """Return flag and name, or why there is none."""
        if row.reason:
            return f"({row.get_reason_display()})"
        return countries.label(row.country_code)

    @admin.display(description=_("address"), ordering="sort_key")
    def address_text(self, row: GeoCache) -> str:
        """Return the address; sorted as numbers are, not as text."""
        return row.address

    @admin.display(description=_("city"))
    def city_name(self, row: GeoCache) -> str:
        """Return the city in the reader's language."""
        return _shown(row).city

    @admin.display(description=_("region"))
    def region_name(self, row: GeoCache) -> str:
        """Return the region in the reader's language."""
        return _shown(row).region

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
        from geocache.history.spans import past_spans  # noqa: PLC0415 - each process loads the admin

        language = get_language()
        past = [
            (span, _line(in_language(span.answer, language))) for span in past_spans(row.address)
        ]
        return render_to_string("geocache/admin/_past.html", {"past": past}) if past else ""


def _shown(row: GeoCache) -> Location:
    return in_language(row.to_location(), get_language())


def _line(answer: Location) -> str:
    country = answer.country_name or gettext("Nothing known")
    operator = f"AS{answer.asn} {answer.organization}" if answer.asn else answer.organization
    return ", ".join(filter(None, (country, answer.city, operator)))
