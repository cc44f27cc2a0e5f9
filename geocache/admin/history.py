"""Answers of the past."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from geocache.admin.pagination import LimitedPaginator
from geocache.admin.read_only import ReadOnlyAdmin
from geocache.location import FIELDS
from geocache.models import AnswerHistory
from geocache.models.history import KIND_LABELS, SUCCESSOR


class KindFilter(admin.SimpleListFilter):
    """What changed."""

    title = _("what changed")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """Return the kinds of change."""
        return [(kind, str(label)) for kind, label in KIND_LABELS.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the changes of the chosen kind."""
        chosen = self.value()
        return queryset.of_kind(chosen) if chosen in KIND_LABELS else queryset


@admin.register(AnswerHistory)
class AnswerHistoryAdmin(ReadOnlyAdmin):
    """Answers that were replaced, the latest first."""

    change_list_template = "geocache/admin/credited_list.html"
    change_form_template = "geocache/admin/credited_form.html"
    paginator = LimitedPaginator
    show_facets = admin.ShowFacets.NEVER
    list_display = (
        "address",
        "change",
        "country_code",
        "city",
        "organization",
        "new_country_code",
        "new_city",
        "new_organization",
        "valid_from",
        "valid_until",
    )
    list_filter = (KindFilter,)
    # Only what an index sorts.
    sortable_by = ("valid_until",)
    ordering = ("-valid_until", "-address")
    search_fields = ("=address",)
    # The order of the page of one: by itself it would begin with the columns of any answer.
    fields = (
        "address",
        "valid_from",
        "valid_until",
        *FIELDS[2:],
        "resolved_at",
        *SUCCESSOR,
        "change",
    )
    readonly_fields = ("change",)

    @admin.display(description=_("what changed"))
    def change(self, row: AnswerHistory) -> str:
        """Return the kinds of change."""
        return ", ".join(row.kind_labels)
