"""The dates of the admin's date hierarchy, by steps in an index; Django's own reads every row."""

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from django.db import connections
from django.db.models import Max, Min
from django.utils import timezone

from geocache.instants import calendar_zone
from geocache.models import GeoCacheQuerySet


def _year(at: datetime, step: int) -> datetime:
    return at.replace(at.year + step, 1, 1, hour=0, minute=0, second=0, microsecond=0)


def _month(at: datetime, step: int) -> datetime:
    first = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=31 * step)).replace(day=1)


def _day(at: datetime, step: int) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=step)


# The start of the period that a moment is in (0), and of the next one (1).
NEXT_PERIOD: Final[dict[str, Callable[[datetime, int], datetime]]] = {
    "year": _year,
    "month": _month,
    "day": _day,
}


class DateHierarchyQuerySet(GeoCacheQuerySet):
    """Rows of a list with a date hierarchy, which calls these two methods of Django's."""

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the least and the greatest by one step in an index for each.

        The hierarchy asks for both at once, and SQLite then reads every row.
        """
        if args or not all(isinstance(one, Min | Max) for one in kwargs.values()):
            return super().aggregate(*args, **kwargs)
        found: dict[str, Any] = {}
        for name, one in kwargs.items():
            found |= super().aggregate(**{name: one})
        return found

    def datetimes(
        self, field_name: str, kind: Any, order: Any = "ASC", tzinfo: tzinfo | None = None
    ) -> Any:
        """Return the years, months or days that occur, by one step in an index for each."""
        if kind not in NEXT_PERIOD or order != "ASC":
            return super().datetimes(field_name, kind, order, tzinfo)
        found: list[datetime] = []
        rest, newer = self, f"{field_name}__gte"
        zone = tzinfo or calendar_zone(connections[self.db])
        while at := rest.aggregate(least=Min(field_name))["least"]:
            found.append(NEXT_PERIOD[kind](timezone.localtime(at, zone), 0))
            rest = self.filter(**{newer: NEXT_PERIOD[kind](found[-1], 1)})
        return found
