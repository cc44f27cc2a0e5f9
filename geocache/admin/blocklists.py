"""Lists, their imports and entries, and what is banned because of them: to read, to import now."""

from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html_join
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from geocache import conf
from geocache.addresses.blocks import parse_entries
from geocache.admin.pagination import LimitedPaginator
from geocache.admin.read_only import ReadOnlyAdmin
from geocache.blocklists.request import ask_for
from geocache.exceptions import InvalidAddress
from geocache.instants import utc_now
from geocache.labels import give_label, label_of
from geocache.models import Ban, ImportRun, ImportSource, ListedAddress, SchedulerLease

# Least scores that the admin offers: some lists count publishers, some give percents.
OFFERED_SCORES: Final = (2, 3, 5, 10, 25, 50, 75, 90, 100, 1_000)
ANY_SCORE: Final = "any"


@admin.register(ImportSource)
class ImportSourceAdmin(ReadOnlyAdmin):
    """Lists, which can be imported at once, and deleted with all that they hold.

    The scheduler ends the bans that only a deleted one had: no request waits for a firewall.
    """

    is_deletable = True
    list_display = ("name", "shown_label", "entry_count", "attempted_at", "short_problem")
    list_select_related = ("current_run",)
    fields = ("name", "label", "entry_count", "attempted_at", "problem")
    readonly_fields = ("name", "entry_count", "attempted_at", "problem")
    actions = ("import_now",)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Let those change the label who have the permission; all else is text."""
        return self.has_permission(request, "change")

    def save_model(self, request: HttpRequest, obj: ImportSource, form: Any, change: bool) -> None:  # noqa: ARG002 - Django's signature
        """Write the label alone: a process may be importing the list."""
        give_label(obj.name, obj.label)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:  # noqa: ARG002 - Django's signature
        """Name the lists only: to name 200,000 entries takes minutes."""
        return [str(one) for one in objs], {self.opts.verbose_name_plural: len(objs)}, set(), []

    def delete_model(self, request: HttpRequest, obj: ImportSource) -> None:
        """Delete one list."""
        obj.forget()
        _say_when_bans_end(request)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ImportSource]) -> None:
        """Delete several."""
        for source in queryset:
            source.forget()
        _say_when_bans_end(request)

    def has_import_permission(self, request: HttpRequest) -> bool:
        """Tell whether somebody may have a list imported."""
        return self.has_permission(request, "change")

    @admin.display(description=_("label"), empty_value="")
    def shown_label(self, source: ImportSource) -> str:
        """Return the label that counts, given by hand or in the settings."""
        return label_of(source.name, source.label)

    @admin.display(description=_("entries"))
    def entry_count(self, source: ImportSource) -> int | str:
        """Return how many entries it has."""
        return source.current_run.entry_count if source.current_run else ""

    @admin.display(description=_("problem"))
    def short_problem(self, source: ImportSource) -> str:
        """Return the beginning of what was wrong."""
        return Truncator(source.problem).chars(80)

    @admin.action(description=_("Import the selected lists now"), permissions=["import"])
    def import_now(self, request: HttpRequest, queryset: QuerySet[ImportSource]) -> None:
        """Have the scheduler import them within a minute."""
        count = sum(map(ask_for, queryset))
        said = ngettext(
            "The scheduler imports %(count)d list within a minute.",
            "The scheduler imports %(count)d lists within a minute.",
            count,
        )
        if count:
            messages.success(request, said % {"count": count})
        if count < len(queryset):
            said = gettext("Lists that are not in the settings are not imported.")
            messages.warning(request, said)


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnlyAdmin):
    """Imports, newest first."""

    list_display = (
        "started_at",
        "source",
        "state",
        "entry_count",
        "added_count",
        "removed_count",
        "bad_count",
        "short_error",
    )
    list_filter = ("state", "source")
    list_select_related = ("source",)
    ordering = ("-started_at",)
    sortable_by = ("started_at",)
    fields = (
        "source",
        "state",
        "origin",
        "format_name",
        "sha256",
        "line_count",
        "entry_count",
        "network_count",
        "added_count",
        "removed_count",
        "changed_count",
        "bad_count",
        "english_bad_lines",
        "started_at",
        "finished_at",
        "seen_at",
        "error",
    )

    @admin.display(description=_("first bad lines"))
    def english_bad_lines(self, run: ImportRun) -> str:
        """Return them as what they are: like logs, they speak English."""
        lines = ((line,) for line in run.bad_lines.splitlines())
        return format_html_join("", '<div lang="en">{}</div>', lines)

    @admin.display(description=_("error"))
    def short_error(self, run: ImportRun) -> str:
        """Return the beginning of the error."""
        return Truncator(run.error).chars(80)


class ScoreFilter(admin.SimpleListFilter):
    """The entries of one list from some score on, the highest first: a range of an index."""

    title = _("score")
    parameter_name = "min_score"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """Return the least scores that entries of the list reach; none while no list is chosen."""
        source = request.GET.get("source__id__exact", "")
        if not (source.isascii() and source.isdigit()):
            return []
        rows = ListedAddress.objects.listed().filter(source=int(source)).scored().by_score()
        highest = rows.values_list("score", flat=True).first()
        if highest is None:
            return []
        offered = [least for least in OFFERED_SCORES if least <= highest]
        said = gettext("%(score)s and more")
        labels = [
            (str(least), said % {"score": number_format(least, force_grouping=True)})
            for least in offered
        ]
        return [(ANY_SCORE, gettext("any")), *labels]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the entries that reach the chosen score."""
        chosen = self.value()
        if not chosen:
            return queryset
        if chosen not in (ANY_SCORE, *map(str, OFFERED_SCORES)):
            raise IncorrectLookupParameters
        return queryset.scored(None if chosen == ANY_SCORE else int(chosen)).by_score()


@admin.register(ListedAddress)
class ListedAddressAdmin(ReadOnlyAdmin):
    """Entries of all lists; no row is counted that nobody pages to."""

    list_display = (
        "entry",
        "source",
        "score_text",
        "short_comment",
        "is_listed",
        "first_listed_at",
        "last_listed_at",
    )
    list_filter = ("is_listed", "source", ScoreFilter)
    list_select_related = ("source",)
    sortable_by = ()
    paginator = LimitedPaginator
    search_fields = ("entry",)
    fields = (
        "entry",
        "source",
        "score_text",
        "whole_comment",
        "is_listed",
        "first_listed_at",
        "last_listed_at",
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """Return the entries in an order that the filter by score replaces."""
        return super().get_queryset(request).order_by("entry", "source")

    @admin.display(description=_("score"), empty_value="")
    def score_text(self, row: ListedAddress) -> str:
        """Return the score: 9, not 9.0."""
        return row.shown_score

    @admin.display(description=_("comment"), empty_value="")
    def short_comment(self, row: ListedAddress) -> str:
        """Return the beginning of the comment."""
        return Truncator(row.shown_comment).chars(60)

    @admin.display(description=_("comment"), empty_value="")
    def whole_comment(self, row: ListedAddress) -> str:
        """Return the comment in the letters of its publisher."""
        return row.shown_comment

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: "QuerySet[Any]",
        search_term: str,
    ) -> "tuple[QuerySet[Any], bool]":
        """Find an entry by its whole text, which an index does at once."""
        if not search_term.strip():
            return queryset, False
        try:
            texts = [one.text for one in parse_entries(search_term.strip())]
        except InvalidAddress:
            return queryset.none(), False
        return queryset.filter(entry__in=texts), False


@admin.register(Ban)
class BanAdmin(ReadOnlyAdmin):
    """What is banned; a ban that is deleted here is applied again within a minute."""

    is_deletable = True
    list_display = ("entry", "banned_at")
    ordering = ("entry",)
    sortable_by = ()
    paginator = LimitedPaginator


def _say_when_bans_end(request: HttpRequest) -> None:
    """Tell when the bans end that only a deleted list had, if there are any."""
    if not Ban.objects.exists():
        return
    if conf.get("BAN_ACTION") and SchedulerLease.held_at(utc_now()):
        said = gettext("Bans of deleted lists end within a minute, unless another list keeps them.")
        messages.info(request, said)
    else:
        said = gettext(
            "Bans of deleted lists end with the command %(command)s, unless another list keeps "
            "them."
        )
        messages.warning(request, said % {"command": "manage.py ban_geo"})
