"""The table of answers: to find, to read, to export, to flush into, to renew, to forget."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from geocache.admin import pagination
from geocache.admin.actions import (
    export,
    export_chosen,
    forget_chosen,
    forget_confirmed,
    resolve_chosen_again,
)
from geocache.admin.date_hierarchy import DateHierarchyQuerySet
from geocache.admin.display import AnswerColumns
from geocache.admin.filters import (
    ConnectionFilter,
    ContinentFilter,
    CountryFilter,
    OperatorFilter,
    OutcomeFilter,
    RegionFilter,
    TraitFilter,
    UserTypeFilter,
    counted,
)
from geocache.admin.flush_now import flush_now, outside_transactions, pending
from geocache.admin.pagination import LimitedPaginator, QuickChangeList
from geocache.admin.read_only import ReadOnlyAdmin
from geocache.exceptions import InvalidAddress
from geocache.models import GeoCache
from geocache.mounts import page_url

# Fields that are empty in most answers.
SELDOM = frozenset(
    (
        "connection",
        "domain",
        "explained_kinds",
        "further_subdivisions",
        "given",
        "isp",
        "metro_code",
        "mobile_network",
        "more",
        "registered_country",
        "users",
    )
)


@admin.register(GeoCache)
class GeoCacheAdmin(AnswerColumns, ReadOnlyAdmin):
    """Answers, newest first."""

    change_list_template = "geocache/admin/change_list.html"
    change_form_template = "geocache/admin/change_form.html"
    paginator = LimitedPaginator
    show_facets = admin.ShowFacets.NEVER
    actions = (export_chosen, resolve_chosen_again, forget_chosen)
    unlimited_actions = ("export_chosen",)
    list_display = (
        "country_kinds",
        "address_text",
        "city_name",
        "operator_link",
        "network_link",
        "resolved_at",
        "source",
    )
    list_display_links = ("address_text",)
    list_filter = (
        TraitFilter,
        CountryFilter,
        ContinentFilter,
        RegionFilter,
        OperatorFilter,
        UserTypeFilter,
        ConnectionFilter,
        OutcomeFilter,
        "resolved_at",
    )
    # Only what an index sorts.
    sortable_by = ("address_text", "resolved_at")
    date_hierarchy = "resolved_at"
    search_fields = ("address",)
    search_help_text = _(
        "Search for an address, a network (203.0.113.0/24, 2001:db8::/32) "
        "or a beginning (203.0.113.)."
    )
    fieldsets = (
        (None, {"fields": ("address", "network", "outcome")}),
        (
            _("Place"),
            {
                "fields": (
                    "country",
                    "continent",
                    "registered_country",
                    "region_link",
                    "further_subdivisions",
                    "city_name",
                    "postal_code",
                    "metro_code",
                    ("latitude", "longitude", "accuracy_radius_km"),
                    "time_zone",
                )
            },
        ),
        (_("Network operator"), {"fields": ("operator", "isp", "domain")}),
        (
            _("Kind of network"),
            {"fields": ("explained_kinds", "users", "connection", "mobile_network", "more")},
        ),
        (_("Origin"), {"fields": ("source", "given", "resolved_at", "created_at", "last_seen_on")}),
        (_("Past"), {"fields": ("past",)}),
    )
    readonly_fields = (
        "country",
        "continent",
        "registered_country",
        "region_link",
        "further_subdivisions",
        "city_name",
        "operator",
        "explained_kinds",
        "users",
        "connection",
        "mobile_network",
        "more",
        "given",
        "outcome",
        "past",
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the groups of fields, without those that few answers fill where one does not."""
        if obj is None:
            return super().get_fieldsets(request, obj)
        groups = (
            (title, [name for name in options["fields"] if self._is_shown(name, obj)])
            for title, options in self.fieldsets
        )
        return [(title, {"fields": fields}) for title, fields in groups if fields]

    def _is_shown(self, name: Any, row: GeoCache) -> bool:
        if name not in SELDOM:
            return True
        return bool(getattr(self, name)(row) if hasattr(self, name) else getattr(row, name))

    def view_on_site(self, row: GeoCache) -> str | None:
        """Return the page of the address, where the project has these pages."""
        return page_url("address", address=row.address) or None

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's signature
        """Return the list that reads no more than a page needs."""
        return QuickChangeList

    def get_queryset(self, request: HttpRequest) -> DateHierarchyQuerySet:
        """Return rows that know their dates without reading all of them."""
        return DateHierarchyQuerySet(self.model).order_by(*self.get_ordering(request))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Sort what is searched for, a range of addresses, as the index does that finds it."""
        return ("sort_key",) if request.GET.get(SEARCH_VAR) else ("-resolved_at",)

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find an address or a network by index; say what can be found when it is neither."""
        text = search_term.strip()
        if not text:
            return queryset, False
        try:
            return queryset.search(text), False
        except InvalidAddress:
            said = gettext("“%(text)s” cannot be searched for. %(help)s")
            shown = {"text": Truncator(text).chars(40), "help": self.search_help_text}
            messages.warning(request, said % shown)
            return queryset.none(), False

    def has_renew_permission(self, request: HttpRequest) -> bool:
        """Tell whether somebody may have answers replaced by newer ones."""
        return self.has_permission(request, "change")

    def has_forget_permission(self, request: HttpRequest) -> bool:
        """Tell whether somebody may have answers deleted."""
        return self.has_permission(request, "delete")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, and how much waits to be flushed."""
        shown = {
            "backlog": pending(),
            "may_flush": self.has_renew_permission(request),
            "list_limit": pagination.LIST_LIMIT,
            "row_count": snapshot.row_count if (snapshot := counted(request)) else None,
        }
        return super().changelist_view(request, shown | (extra_context or {}))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show an answer, and what may be done with it."""
        shown = {
            "may_renew": self.has_renew_permission(request),
            "may_forget": self.has_forget_permission(request),
        }
        return super().changeform_view(request, object_id, form_url, shown | (extra_context or {}))

    def get_urls(self) -> list[URLPattern]:
        """Add what the buttons post to, and the export of a filtered list."""
        posted = {"flush": self.flush_view, "forget": self.forget_view}
        views = {name: outside_transactions(require_POST(view)) for name, view in posted.items()}
        views["export"] = require_safe(self.export_view)
        return [
            path(f"{name}/", self.admin_site.admin_view(view), name=f"geocache_geocache_{name}")
            for name, view in views.items()
        ] + super().get_urls()

    def flush_view(self, request: HttpRequest) -> HttpResponse:
        """Flush, and say on the list what was done."""
        if not self.has_renew_permission(request):
            raise PermissionDenied
        flush_now(request)
        return self._to_list()

    def forget_view(self, request: HttpRequest) -> HttpResponse:
        """Forget what was confirmed, and say on the list what was done."""
        if not self.has_forget_permission(request):
            raise PermissionDenied
        forget_confirmed(self, request)
        return self._to_list()

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Download all that the list of these filters has."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            return export(request, self.get_changelist_instance(request).queryset)
        except IncorrectLookupParameters:
            return self._to_list()

    def _to_list(self) -> HttpResponse:
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:geocache_geocache_changelist"))
