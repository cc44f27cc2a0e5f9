"""The entries of a list as the table keeps them."""

from collections.abc import Iterator
from itertools import starmap
from typing import Final

from geocache.addresses.blocks import Entry, finite_score
from geocache.models import ImportSource, ListedAddress
from geocache.models.blocklists import COMMENT_LENGTH
from geocache.models.connection import writing_alias
from geocache.text import storable_line

# Rows of a list that are read at once.
HELD_ROWS: Final = 5_000
COLUMNS: Final = ("sort_key", "prefix_length", "entry", "score", "comment")


def as_kept(entry: Entry) -> Entry:
    """Return ``entry`` with its score and comment as the table will give them back."""
    if entry.is_plain:
        return entry
    comment = storable_line(entry.comment, COMMENT_LENGTH)
    return entry._replace(score=finite_score(entry.score), comment=comment)


def entries_of(source: ImportSource | None) -> Iterator[Entry]:
    """Give what the table says to be on a list, in order and a few at a time."""
    if source is None:
        return
    rows = ListedAddress.objects.using(writing_alias()).filter(source=source).listed().in_order()
    page = rows
    while held := list(starmap(Entry, page.values_list(*COLUMNS)[:HELD_ROWS])):
        yield from held
        page = rows.behind(held[-1])
