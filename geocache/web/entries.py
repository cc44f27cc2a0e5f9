"""Pages of the entries of a list or an import: by address or by score.

Each goes on after an entry, so that it is a range of an index however far one turns.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from geocache.addresses.blocks import Entry, parse_entries
from geocache.exceptions import InvalidAddress, InvalidCursor
from geocache.location import Location
from geocache.models import GeoCache, ListedAddress
from geocache.web.filters import QueryForm, order_field

PAGE_ROWS: Final = 50
BY_SCORE: Final = "score"
ORDER_LABELS: Final = {
    # By address, but from some score on by score: see ``EntryFilter.is_by_score``.
    "": _("automatic"),
    BY_SCORE: _("by score"),
    "address": _("by address"),
}


class EntryFilter(QueryForm):
    """Which entries are shown, and in which order."""

    sort = order_field(ORDER_LABELS)
    min_score = forms.FloatField(
        label=_("Score at least"),
        required=False,
        error_messages={"invalid": _("The least score is a number, such as 3 or 0.5.")},
        widget=forms.NumberInput(attrs={"step": "any"}),
    )

    @property
    def is_filtered(self) -> bool:
        """Tell whether fewer than all entries may be shown."""
        return bool(self.data.get("min_score"))

    @property
    def is_by_score(self) -> bool:
        """Tell whether the highest score is the first."""
        order = self.data.get("sort", "")
        # Few of a long list may be left: by address all of it would be read to find them.
        return order == BY_SCORE or (not order and self.is_filtered)

    @property
    def is_scored(self) -> bool:
        """Tell whether entries without a score are left out."""
        return self.is_by_score or self.is_filtered


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Some entries with what the table knows of them, and the cursor of the next page."""

    rows: Sequence[tuple[ListedAddress, Location | None]] = ()
    after: str = ""
    # Whether any entry has a score, also on another page; any on this one a comment.
    has_scores: bool = False
    has_comments: bool = False


def read_entries(entries: Any, form: EntryFilter, after: str = "") -> EntryPage:
    """Return the first page of ``entries``, or the one after a cursor; raise ``InvalidCursor``."""
    if not form.is_valid():
        return EntryPage(has_scores=entries.scored().exists())
    rows = entries.scored(form.cleaned_data["min_score"]) if form.is_scored else entries
    found = (_by_score if form.is_by_score else _in_order)(rows, after)
    shown = found[:PAGE_ROWS]
    return EntryPage(
        rows=_placed(shown),
        after=_cursor(shown[-1], is_by_score=form.is_by_score) if len(found) > PAGE_ROWS else "",
        has_scores=any(row.score is not None for row in shown) or entries.scored().exists(),
        has_comments=any(row.comment for row in shown),
    )


def _in_order(rows: Any, after: str) -> list[ListedAddress]:
    ordered = rows.in_order()
    return list((ordered.behind(_entry(after)) if after else ordered)[: PAGE_ROWS + 1])


def _by_score(rows: Any, after: str) -> list[ListedAddress]:
    """Return the entries after a cursor: those of its score, then those of lower ones.

    Each of the two is a range of an index, which one query with OR would not be.
    """
    ordered = rows.by_score()
    if not after:
        return list(ordered[: PAGE_ROWS + 1])
    score, entry = _score_and_entry(after)
    found = list(ordered.filter(score=score).behind(entry)[: PAGE_ROWS + 1])
    return found + list(ordered.filter(score__lt=score)[: PAGE_ROWS + 1 - len(found)])


def _placed(rows: Sequence[ListedAddress]) -> list[tuple[ListedAddress, Location | None]]:
    # From the table: to open a page asks no provider.
    known = GeoCache.objects.in_bulk([row.entry for row in rows if not row.is_network])
    return [(row, known[row.entry].to_location() if row.entry in known else None) for row in rows]


def _cursor(row: ListedAddress, *, is_by_score: bool) -> str:
    return f"{row.score!r}~{row.entry}" if is_by_score else row.entry


def _score_and_entry(cursor: str) -> tuple[float, Entry]:
    number, _, text = cursor.partition("~")
    try:
        score = float(number)
    except ValueError as error:
        raise InvalidCursor("this link to a page cannot be read") from error
    if not math.isfinite(score):
        raise InvalidCursor("this link to a page cannot be read")
    return score, _entry(text)


def _entry(text: str) -> Entry:
    try:
        return parse_entries(text)[0]
    except InvalidAddress as error:
        raise InvalidCursor("this link to a page cannot be read") from error
