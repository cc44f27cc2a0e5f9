"""Answers of the past."""

from django.contrib import admin

from geocache.admin.pagination import LimitedPaginator
from geocache.admin.read_only import ReadOnlyAdmin
from geocache.location import FIELDS
from geocache.models import AnswerHistory


@admin.register(AnswerHistory)
class AnswerHistoryAdmin(ReadOnlyAdmin):
    """Answers that were replaced, the latest first."""

    change_list_template = "geocache/admin/credited_list.html"
    change_form_template = "geocache/admin/credited_form.html"
    paginator = LimitedPaginator
    show_facets = admin.ShowFacets.NEVER
    list_display = (
        "address",
        "country_code",
        "city",
        "organization",
        "new_country_code",
        "new_city",
        "new_organization",
        "valid_from",
        "valid_until",
    )
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
        "new_country_code",
        "new_city",
        "new_asn",
        "new_organization",
    )
