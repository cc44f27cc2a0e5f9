"""Country and operator beside the addresses in anybody's admin."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from geocache import countries
from geocache.integrations.rows import attach_locations
from geocache.models import Reason
from geocache.trait_names import most_telling, trait_name

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object

Column = Callable[[Any], str]


class GeoColumns(Base):
    """Put before ``ModelAdmin``: behind each of ``geo_fields`` in the list stand two columns.

    The addresses of a page are looked up in one batch. A field that is not in ``list_display`` has
    its columns at the end. With ``geo_traits`` there is a third one, the kind of network.
    """

    geo_fields: Sequence[str] = ()
    geo_traits = False

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns with country and operator behind each address."""
        shown = list(super().get_list_display(request))
        for field in self.geo_fields:
            place = shown.index(field) + 1 if field in shown else len(shown)
            columns = [_country_of(field), _operator_of(field)]
            shown[place:place] = [*columns, _traits_of(field)] if self.geo_traits else columns
        return shown

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the list with all its addresses looked up."""
        changelist = super().get_changelist_instance(request)
        for field in self.geo_fields:
            # The rows stay those of the list: a list that can be edited needs its queryset.
            attach_locations(changelist.result_list, field, name=_answer_name(field))
        return changelist


def _country_of(field: str) -> Column:
    @admin.display(description=_("country"))
    def country(row: Any) -> str:
        answer = getattr(row, _answer_name(field))
        if answer is None:
            return ""
        if answer.reason:
            return f"({Reason.label_of(answer.reason)})"
        return countries.label(answer.country_code)

    return country


def _operator_of(field: str) -> Column:
    @admin.display(description=_("operator"))
    def operator(row: Any) -> str:
        answer = getattr(row, _answer_name(field))
        if answer is None:
            return ""
        number = f"AS{answer.asn}" if answer.asn is not None else ""
        return f"{number} {answer.organization}".strip()

    return operator


def _traits_of(field: str) -> Column:
    @admin.display(description=_("kind of network"))
    def kind_of_network(row: Any) -> str:
        answer = getattr(row, _answer_name(field))
        return ", ".join(map(trait_name, most_telling(answer.traits))) if answer is not None else ""

    return kind_of_network


def _answer_name(field: str) -> str:
    return f"{field}_geo"
