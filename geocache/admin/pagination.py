"""A list of millions of rows: nothing that a page needs may read all of them."""

from typing import Any, Final

from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property

from geocache.admin.parameters import CheckedChangeList

# Rows that a list counts and pages through. To count millions takes seconds, nobody pages there.
LIST_LIMIT: Final = 10_000


class LimitedPaginator(Paginator):  # type: ignore[type-arg]  # generic only in its stubs
    """Count no further than ``LIST_LIMIT`` rows."""

    @cached_property
    def count(self) -> int:
        """Return how many rows can be paged through."""
        rows: Any = self.object_list
        # In no order: the first rows that are found do, and a count of them reads no index.
        counted: int = rows.order_by()[:LIST_LIMIT].count()
        return counted


class QuickChangeList(CheckedChangeList):
    """Leave out what would read a large part of the table."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        if self.query:
            # The least and the greatest date of a network are in no index.
            self.date_hierarchy = None
        elif not self.has_active_filters:
            # So that nothing is said about "results" where nothing was asked for.
            self.full_result_count = self.result_count

    def get_ordering_field(self, field_name: Any) -> Any:
        """Return what a column is sorted by: nothing, where no link offers it."""
        sortable: Any = self.sortable_by
        return super().get_ordering_field(field_name) if field_name in sortable else None
