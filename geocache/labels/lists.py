"""The lists of the table: their labels, what tells whether they have changed, and their ranges."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import OuterRef, Subquery

from geocache.addresses.blocks import Entry
from geocache.cache.documents import Document
from geocache.labels.names import labels_of_settings
from geocache.labels.ranges import Ranges
from geocache.models import ImportRun, ImportSource, ListedAddress
from geocache.models.connection import database_id, savepoint_for_reading, writing_alias

# How long the document lives from which all processes read which lists there are.
SECONDS: Final = 4
KEYS: Final = "l:"
# Rows of a list that are read at once: no cursor is left open, on any database.
ENTRY_ROWS: Final = 5_000


class KnownList(NamedTuple):
    """A list as its row says."""

    pk: int
    name: str
    # Given by hand.
    label: str
    # The run whose content the table holds; None while that changes, and after a failure.
    run_id: int | None
    # When the last run ended, of a list of which the table holds a part.
    failed_at: datetime | None
    # A process imports it, or was killed while it did.
    is_held: bool

    @property
    def content(self) -> tuple[int | None, datetime | None]:
        """Return what tells whether the table still holds the same of it."""
        return self.run_id, self.failed_at


document: Final = Document[list[KnownList]](
    list[KnownList], key=lambda: f"{KEYS}{database_id()}", seconds=lambda: SECONDS
)


def read_lists() -> list[KnownList]:
    """Return all lists, from one small query; raises what the database raises."""
    # Not of a replica, which lags: the entries would be those before the import.
    alias = writing_alias()
    runs = ImportRun.objects.filter(source=OuterRef("pk")).order_by("-started_at")
    ended_at = Subquery(runs.values("finished_at")[:1])
    columns = ("pk", "name", "label", "current_run_id", "holder")
    with savepoint_for_reading(alias):
        rows = ImportSource.objects.using(alias).order_by("pk").values_list(*columns, ended_at)
        return [
            KnownList(pk, name, label, run_id, None if run_id else failed_at, bool(holder))
            for pk, name, label, run_id, holder, failed_at in rows
        ]


def labelled_lists(lists: list[KnownList]) -> dict[KnownList, str]:
    """Return the labels of the lists that have one."""
    by_settings = labels_of_settings()
    labels = {one: one.label or by_settings.get(one.name, "") for one in lists}
    return {one: label for one, label in labels.items() if label}


def read_ranges(pk: int) -> Ranges:
    """Return the ranges of what is on a list now; raises what the database raises."""
    return Ranges.of_entries(_entries(pk))


def _entries(pk: int) -> Iterator[tuple[str, int]]:
    alias = writing_alias()
    rows = ListedAddress.objects.using(alias).filter(source=pk).listed().in_order()
    page = rows
    while True:
        with savepoint_for_reading(alias):
            held = list(page.values_list("sort_key", "prefix_length")[:ENTRY_ROWS])
        yield from held
        if len(held) < ENTRY_ROWS:
            return
        page = rows.behind(Entry(*held[-1], ""))
