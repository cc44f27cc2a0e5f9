"""Pages of the table that cost the same however far one turns: each goes on behind a row.

A cursor names that row by the values that it is sorted by, so that a page is a range of an index.
No row is counted and none is passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from geocache.addresses import parse_address, sort_key
from geocache.exceptions import InvalidAddress, InvalidCursor
from geocache.locations import EPOCH, MICROSECOND
from geocache.models import GeoCache, GeoCacheQuerySet

PAGE_ROWS: Final = 50

# The fields of each order; together they are different for every row.
ORDERS: Final[dict[str, tuple[str, ...]]] = {
    "newest": ("-resolved_at", "-address"),
    "oldest": ("resolved_at", "address"),
    "address": ("sort_key",),
}
BACKWARDS: Final = {
    name: tuple(field.removeprefix("-") if field[0] == "-" else f"-{field}" for field in fields)
    for name, fields in ORDERS.items()
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the cursors of the pages before and behind them; empty where there is none."""

    rows: Sequence[GeoCache]
    before: str = ""
    after: str = ""


def read_page(
    rows: GeoCacheQuerySet,
    order: str,
    *,
    before: str = "",
    after: str = "",
    size: int = PAGE_ROWS,
) -> Page:
    """Return the first page of ``rows`` in one of ``ORDERS``, or the page beside a cursor.

    At most two queries. Raises ``InvalidCursor``.
    """
    # One more than is shown tells whether the pages go on.
    if before:
        found = _beyond(rows, BACKWARDS[order], before, size + 1)
        shown = found[:size][::-1]
        is_first, is_last = len(found) <= size, False
    else:
        ordered = rows.order_by(*ORDERS[order])
        found = (
            _beyond(rows, ORDERS[order], after, size + 1) if after else list(ordered[: size + 1])
        )
        shown = found[:size]
        is_first, is_last = not after, len(found) <= size
    return Page(
        rows=shown,
        before="" if is_first or not shown else _cursor(shown[0]),
        after="" if is_last or not shown else _cursor(shown[-1]),
    )


def _beyond(
    rows: GeoCacheQuerySet, fields: Sequence[str], cursor: str, size: int
) -> list[GeoCache]:
    """Return the next rows behind a cursor: those of the same moment, then the others.

    Each of the two is a range of an index, which one query with OR would not be.
    """
    row = _parse(cursor)
    found: list[GeoCache] = []
    for depth in reversed(range(len(fields))):
        same = {_name(field): row[_name(field)] for field in fields[:depth]}
        beyond = f"{_name(fields[depth])}__{'lt' if fields[depth].startswith('-') else 'gt'}"
        behind = rows.filter(**same, **{beyond: row[_name(fields[depth])]})
        if len(found) < size:
            found += behind.order_by(*fields)[: size - len(found)]
    return found


def _name(field: str) -> str:
    return field.removeprefix("-")


def _cursor(row: GeoCache) -> str:
    return f"{(row.resolved_at - EPOCH) // MICROSECOND}~{row.address}"


def _parse(cursor: str) -> dict[str, Any]:
    """Return the values of a row by which it is sorted."""
    moment, _, text = cursor.partition("~")
    try:
        address = parse_address(text)
        resolved_at = EPOCH + timedelta(microseconds=int(moment))
    except (InvalidAddress, ValueError, OverflowError) as error:
        raise InvalidCursor("this link to a page cannot be read") from error
    return {"resolved_at": resolved_at, "address": str(address), "sort_key": sort_key(address)}
