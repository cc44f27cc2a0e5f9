"""What the list of addresses can be narrowed by; each filter is a range of an index."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from geocache.models import GeoCache
from geocache.templatetags.geo import country_flag, country_name


class CountryFilter(admin.SimpleListFilter):
    """The countries that are in the table, by name."""

    title = _("country")
    parameter_name = "country"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """Return code and name, in the order of the names."""
        named = [(code, country_name(code) or code) for code in GeoCache.countries()]
        return sorted(named, key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the rows of the chosen country."""
        return queryset.filter(country_code=self.value()) if self.value() else queryset


class OutcomeFilter(admin.SimpleListFilter):
    """Whether anything is known."""

    title = _("answer")
    parameter_name = "answer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002 - Django's signature
        """Return the two kinds of answer."""
        return [("found", _("found")), ("empty", _("never resolved"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the rows of the chosen kind."""
        match self.value():
            case "found":
                return queryset.filter(reason="")
            case "empty":
                return queryset.unresolved()
        return queryset
