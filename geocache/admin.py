"""The table of answers in the Django admin: to find, to read, and to flush into at once."""

from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import connections, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from geocache import journal
from geocache.exceptions import FlushError, InvalidAddress, JournalUnavailable, UndecodableRecord
from geocache.flush import FlushReport, flush_dirty, read_backlog
from geocache.journal import Backlog
from geocache.locations import load_locations
from geocache.models import FlushRun, GeoCache, RejectedEntry
from geocache.statistics import refresh_after_flush
from geocache.templatetags.geo import country_flag, country_name

# Rows that a list counts and pages through. To count millions takes seconds, nobody pages there.
LIST_LIMIT: Final = 10_000
# How long a flush may keep somebody waiting who pressed the button.
FLUSH_NOW_SECONDS: Final = 20.0


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in its stubs
    """People read these rows; only the app writes them."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Let nobody add a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Show every field as text."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Let nobody delete a row by hand."""
        return False


class LimitedPaginator(Paginator):  # type: ignore[type-arg]  # generic only in its stubs
    """Count no further than ``LIST_LIMIT`` rows."""

    @cached_property
    def count(self) -> int:
        """Return how many rows can be paged through."""
        rows: Any = self.object_list
        counted: int = rows[:LIST_LIMIT].count()
        return counted


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
    """Whether something is known."""

    title = _("answer")
    parameter_name = "answer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002 - Django's signature
        """Return the two kinds of answer."""
        return [("found", _("found")), ("empty", _("nothing known"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the rows of the chosen kind."""
        match self.value():
            case "found":
                return queryset.filter(reason="")
            case "empty":
                # What is not known has no country: the index on it finds these few among many.
                return queryset.filter(country_code="").exclude(reason="")
        return queryset


@admin.register(GeoCache)
class GeoCacheAdmin(ReadOnlyAdmin):
    """Answers, newest first."""

    change_list_template = "geocache/admin_change_list.html"
    paginator = LimitedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = None
    list_display = (
        "country",
        "address_text",
        "city",
        "operator",
        "network_link",
        "resolved_at",
        "source",
    )
    list_display_links = ("address_text",)
    list_filter = (CountryFilter, OutcomeFilter, "resolved_at")
    # Only what an index sorts.
    sortable_by = ("address_text", "resolved_at")
    date_hierarchy = "resolved_at"
    ordering = ("-resolved_at",)
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
                    "region",
                    "city",
                    "postal_code",
                    ("latitude", "longitude", "accuracy_radius_km"),
                    "time_zone",
                )
            },
        ),
        (_("Network operator"), {"fields": ("operator",)}),
        (_("Origin"), {"fields": ("source", "resolved_at", "created_at")}),
    )
    readonly_fields = ("country", "operator", "outcome")

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

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, and how much waits to be flushed."""
        shown = {
            "backlog": _backlog(),
            "may_flush": self._may_flush(request),
            "list_limit": LIST_LIMIT,
        }
        return super().changelist_view(request, shown | (extra_context or {}))

    def get_urls(self) -> list[URLPattern]:
        """Add the address that the button posts to."""
        view: Any = self.admin_site.admin_view(require_POST(self.flush_now))
        # A flush deletes from the cache what it has committed: never in a request's transaction.
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return [path("flush/", view, name="geocache_geocache_flush"), *super().get_urls()]

    def flush_now(self, request: HttpRequest) -> HttpResponse:
        """Flush, and say on the list what was done."""
        if not self._may_flush(request):
            raise PermissionDenied
        try:
            report = flush_dirty(FLUSH_NOW_SECONDS)
        except FlushError as error:
            messages.error(request, gettext("Not flushed: %(error)s") % {"error": error})
        else:
            level = messages.WARNING if report.rejected or report.timed_out else messages.SUCCESS
            messages.add_message(request, level, _said(report))
            refresh_after_flush()
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:geocache_geocache_changelist"))

    def _may_flush(self, request: HttpRequest) -> bool:
        return request.user.has_perm("geocache.change_geocache")


@admin.register(FlushRun)
class FlushRunAdmin(ReadOnlyAdmin):
    """What each flush did, newest first."""

    list_display = (
        "started_at",
        "seconds",
        "flushed",
        "rejected",
        "lost",
        "pending",
        "timed_out",
        "short_error",
    )
    list_filter = ("timed_out", "started_at")
    ordering = ("-started_at",)
    show_full_result_count = False

    @admin.display(description=_("error"))
    def short_error(self, run: FlushRun) -> str:
        """Return the beginning of the error."""
        return Truncator(run.error).chars(80)


@admin.register(RejectedEntry)
class RejectedEntryAdmin(ReadOnlyAdmin):
    """Answers that the database refused: to read, to try again, to give up."""

    list_display = ("address_text", "short_error", "rejected_at")
    ordering = ("-rejected_at",)
    actions = ("try_again",)
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let an entry be given up."""
        return super(ReadOnlyAdmin, self).has_delete_permission(request, obj)

    @admin.display(description=_("address"), ordering="address")
    def address_text(self, entry: RejectedEntry) -> str:
        """Return the address, if it is known."""
        return entry.address or gettext("(unreadable record)")

    @admin.display(description=_("error"))
    def short_error(self, entry: RejectedEntry) -> str:
        """Return the beginning of the error."""
        return Truncator(entry.error).chars(80)

    # An entry that is journaled again leaves the list: who may delete it may do this.
    @admin.action(description=_("Try again"), permissions=["delete"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[RejectedEntry]) -> None:
        """Journal the records once more and say how many could be."""
        again_count = unreadable_count = 0
        try:
            for entry in queryset:
                if _journal_again(entry):
                    again_count += 1
                else:
                    unreadable_count += 1
        except JournalUnavailable as error:
            said = gettext("The journal takes no more entries now: %(error)s")
            messages.error(request, said % {"error": error})
        _say_tried_again(request, again_count, unreadable_count)


def _journal_again(entry: RejectedEntry) -> bool:
    """Move an entry from the list to the journal; False when its record cannot be read."""
    try:
        locations = load_locations(entry.record)
    except UndecodableRecord:
        return False
    # First the journal: killed in between, the entry is in both, which does no harm.
    journal.append(locations)
    entry.delete()
    return True


def _say_tried_again(request: HttpRequest, again_count: int, unreadable_count: int) -> None:
    if again_count:
        said = ngettext(
            "%(count)d entry is journaled again; the next flush tries it.",
            "%(count)d entries are journaled again; the next flush tries them.",
            again_count,
        )
        messages.success(request, said % {"count": again_count})
    if unreadable_count:
        said = ngettext(
            "%(count)d entry cannot be read by this release and stays here.",
            "%(count)d entries cannot be read by this release and stay here.",
            unreadable_count,
        )
        messages.warning(request, said % {"count": unreadable_count})


def _backlog() -> Backlog | None:
    """Return how much waits to be flushed, or None while the cache does not tell."""
    try:
        return read_backlog()
    except JournalUnavailable:
        return None


def _said(report: FlushReport) -> str:
    """Return one line on what a flush did."""
    if report == FlushReport(seconds=report.seconds):
        return gettext("Nothing was waiting to be flushed.")
    said = gettext(
        "%(flushed)d flushed, %(rejected)d rejected, %(pending)d pending, in %(seconds).1f seconds."
    )
    counts = {
        "flushed": report.flushed,
        "rejected": report.rejected,
        "pending": report.pending,
        "seconds": report.seconds,
    }
    late = gettext(" Stopped by the time limit: flush again.") if report.timed_out else ""
    return said % counts + late
