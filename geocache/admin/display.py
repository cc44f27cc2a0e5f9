"""What the admin shows of an answer, in its list and in full."""

from typing import Final

from django.contrib import admin
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from geocache import countries, trait_names
from geocache.location import Location
from geocache.models import GeoCache
from geocache.place_names import in_language

# Between the lines of one value.
LINE: Final = SafeString("<br>")


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

    @admin.display(description=_("country"))
    def country_kinds(self, row: GeoCache) -> str:
        """Return the country, and a badge for each trait below it."""
        return format_html("{}{}", self.country(row), trait_names.badges(row.traits))

    @admin.display(description=_("kind of network"), empty_value="-")
    def explained_kinds(self, row: GeoCache) -> str:
        """Return each trait with what it means."""
        named = (
            (trait_names.trait_name(one), trait_names.trait_explanation(one)) for one in row.traits
        )
        return format_html_join(LINE, "<strong>{}</strong> {}", named)

    @admin.display(description=_("continent"), empty_value="-")
    def continent(self, row: GeoCache) -> str:
        """Return the continent, and whether the country is in the European Union."""
        answer = row.to_location()
        union = gettext("in the European Union") if answer.is_in_european_union else ""
        return "; ".join(filter(None, (answer.continent_name, union)))

    @admin.display(description=_("country of registration"), empty_value="-")
    def registered_country(self, row: GeoCache) -> str:
        """Return flag and name of the country in which the network is registered."""
        return countries.label(row.registered_country_code)

    @admin.display(description=_("region"), empty_value="-")
    def region_link(self, row: GeoCache) -> str:
        """Return the region in the reader's language, and a link to all addresses of it."""
        name, code = _shown(row).region, row.region_code
        if not code:
            return name
        url = reverse("admin:geocache_geocache_changelist")
        return format_html('{} <a href="{}?region={}">{}</a>', name, url, code, code)

    @admin.display(description=_("subdivisions"), empty_value="-")
    def further_subdivisions(self, row: GeoCache) -> str:
        """Return the parts of the country, the largest first."""
        parts = row.to_location().subdivisions
        return ", ".join(f"{one.name} {one.code}".strip() for one in parts)

    @admin.display(description=_("users"), empty_value="-")
    def users(self, row: GeoCache) -> str:
        """Return what kind of people use the address."""
        return trait_names.user_type_name(row.user_type)

    @admin.display(description=_("connection"), empty_value="-")
    def connection(self, row: GeoCache) -> str:
        """Return how the address is connected."""
        return trait_names.connection_type_name(row.connection_type)

    @admin.display(description=_("mobile network"), empty_value="-")
    def mobile_network(self, row: GeoCache) -> str:
        """Return the codes of the mobile network."""
        codes = ("MCC", row.mobile_country_code), ("MNC", row.mobile_network_code)
        return " ".join(f"{name} {code}" for name, code in codes if code)

    @admin.display(description=_("details"), empty_value="-")
    def more(self, row: GeoCache) -> str:
        """Return what only some products state, one line each."""
        named = (
            (trait_names.detail_name(name), trait_names.detail_value(value))
            for name, value in (row.details or {}).items()
        )
        return format_html_join(LINE, "{}: {}", named)

    @admin.display(description=_("sources of the fields"), empty_value="-")
    def given(self, row: GeoCache) -> str:
        """Return which of several sources gave which fields, one line each."""
        shares = GeoCache.fields_by_source(row.to_location())
        lines = ((source, ", ".join(names)) for source, names in shares)
        return format_html_join(LINE, "{}: {}", lines)

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
    operator = f"AS{answer.asn} {answer.organization}" if answer.asn else answer.organization
    region = answer.region if answer.region != answer.city else ""
    kinds = map(trait_names.trait_name, trait_names.most_telling(answer.traits))
    parts = (answer.country_name, region, answer.city, operator, *kinds)
    return ", ".join(filter(None, parts)) or gettext("Nothing known")
