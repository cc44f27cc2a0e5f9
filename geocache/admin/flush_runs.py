"""What each flush did."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from geocache.admin.parameters import CheckedChangeList
from geocache.admin.read_only import ReadOnlyAdmin
from geocache.models import FlushRun


class FlushRunList(CheckedChangeList):
    """A page of runs, each of which knows the largest beside it."""

    def get_results(self, request: HttpRequest) -> None:
        """Give each run of the page what its bar is measured against."""
        super().get_results(request)
        runs: Any = list(self.result_list)
        most = max((run.flushed for run in runs), default=0)
        for run in runs:
            run.most_flushed = most
        self.result_list = runs


@admin.register(FlushRun)
class FlushRunAdmin(ReadOnlyAdmin):
    """Runs, newest first."""

    list_display = (
        "started_at",
        "flushed",
        "bar",
        "seconds",
        "rejected",
        "lost",
        "pending",
        "timed_out",
        "short_error",
    )
    list_filter = ("timed_out", "started_at")
    ordering = ("-started_at",)
    # Sorted by anything else, a month of runs is read whole for each page.
    sortable_by = ("started_at",)

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's signature
        """Return the list that knows how long a bar is."""
        return FlushRunList

    @admin.display(description=_("beside the others"))
    def bar(self, run: FlushRun) -> str:
        """Return a bar of the rows, as long as the largest run of the page is wide."""
        most: int = getattr(run, "most_flushed", run.flushed)
        return format_html(
            '<meter max="{}" value="{}">{}</meter>', max(most, 1), run.flushed, run.flushed
        )

    @admin.display(description=_("error"))
    def short_error(self, run: FlushRun) -> str:
        """Return the beginning of the error."""
        return Truncator(run.error).chars(80)
