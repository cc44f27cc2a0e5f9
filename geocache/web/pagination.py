"""Pages of the table that cost the same however far one turns: each goes on behind a row.

A cursor names that row by the values that it is sorted by, so that a page is a range of an index.
No row is counted and none is passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from geocache.addresses import parse_address, sort_key
from geocache.exceptions import InvalidCursor
from geocache.location import EPOCH
from geocache.models import GeoCache
from geocache.models.indexes import address_column

PAGE_ROWS: Final = 50

# The fields of each order; together they are different for every row.
ORDERS: Final[dict[str, tuple[str, ...]]] = {
    "newest": ("-resolved_at", "-address"),
    "oldest": ("resolved_at", "address"),
    "address": ("sort_key",),
}
MOVE_ORDER: Final = ("-valid_until", "-address")
# What a cursor's moment is of: the row's own, or of a move.
MOMENTS: Final = ("resolved_at", "valid_until")


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the cursors of the pages before and behind them; empty where there is none."""

    rows: Sequence[Any]
    before: str = ""
    after: str = ""


def read_page(
    rows: Any,
    order: Sequence[str],
    *,
    before: str = "",
    after: str = "",
    size: int = PAGE_ROWS,
) -> Page:
    """Return the first page of ``rows``, or the one beside a cursor.

    ``order`` is one of ``ORDERS``, or ``MOVE_ORDER`` of history, perhaps after a field that
    has one value in all of the rows.
    At most two queries. Raises ``InvalidCursor``.
    """
    # One more than is shown tells whether the pages go on.
    if before:
        found = _beyond(rows, _reversed(order), before, size + 1)
        shown = found[:size][::-1]
        is_first, is_last = len(found) <= size, False
    else:
        found = _beyond(rows, order, after, size + 1)
        shown = found[:size]
        is_first, is_last = not after, len(found) <= size
    return Page(
        rows=shown,
        before="" if is_first or not shown else _cursor(shown[0]),
        after="" if is_last or not shown else _cursor(shown[-1]),
    )


def _reversed(order: Sequence[str]) -> list[str]:
    return [field[1:] if field.startswith("-") else f"-{field}" for field in order]


def _beyond(rows: Any, order: Sequence[str], cursor: str, size: int) -> list[Any]:
    """Return the next rows behind a cursor, or the first: those of its moment, then the others.

    Each of the two is a range of an index, which one query with OR would not be.
    """
    if rows.model is GeoCache:
        order = [field.replace("sort_key", address_column(rows.db)) for field in order]
    ordered = rows.order_by(*order)
    if not cursor:
        return list(ordered[:size])
    row = _parse(cursor)
    fields = [field for field in order if field.removeprefix("-") in row]
    found: list[GeoCache] = []
    while fields and len(found) < size:
        last = fields.pop()
        name = last.removeprefix("-")
        same = {field.removeprefix("-"): row[field.removeprefix("-")] for field in fields}
        beyond = f"{name}__{'lt' if last.startswith('-') else 'gt'}"
        found += ordered.filter(**same, **{beyond: row[name]})[: size - len(found)]
    return found


def _cursor(row: Any) -> str:
    at = row.resolved_at if isinstance(row, GeoCache) else row.valid_until
    return f"{(at - EPOCH) // timedelta(microseconds=1)}~{row.address}"


def _parse(cursor: str) -> dict[str, Any]:
    """Return the values of a row by which rows are sorted."""
    moment, _, text = cursor.partition("~")
    try:
        address = parse_address(text)
        at = EPOCH + timedelta(microseconds=int(moment))
    except (ValueError, OverflowError) as error:
        raise InvalidCursor("this link to a page cannot be read") from error
    values = dict.fromkeys(MOMENTS, at)
    return values | {"address": str(address), "sort_key": sort_key(address)}
