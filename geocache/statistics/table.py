"""Counts of the whole table, made now and then and kept, so that a page reads one row instead.

To count takes seconds at ten million rows. It is done behind a flush, for at most 2 % of the time.
"""

import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from django.db.models import Count, Max
from django.db.models.functions import TruncDate
from django.utils import timezone

from geocache.instants import calendar_zone, utc_now
from geocache.models import FlushRun, GeoCache, Statistics
from geocache.models.connection import writing_alias, writing_connection

# Counted again no sooner than this, and than so many times what counting took.
MIN_SECONDS: Final = 60.0
REST_FACTOR: Final = 50
# Counted again after this, also when nothing was flushed: rows are deleted, too, and days go by.
MAX_SECONDS: Final = 86_400.0
TOP_OPERATORS: Final = 50
DAYS: Final = 30


class Operator(NamedTuple):
    """The operator of networks, and how many addresses it has."""

    asn: int
    organization: str
    address_count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """What the table held at ``made_at``. Counts are of addresses, the largest first.

    It is the same object until somebody counts anew, so that what is made of it can be kept.
    """

    made_at: datetime
    # How long it took to count.
    seconds: float
    row_count: int
    # Addresses of which nothing is known.
    empty_count: int
    # By ISO 3166-1 code.
    countries: dict[str, int]
    operators: tuple[Operator, ...]
    sources: dict[str, int]
    # The last days by when an address was resolved, oldest first, in the project's time zone.
    days: dict[date, int]


def read_statistics() -> Snapshot | None:
    """Return what was counted last, or None when nothing was yet."""
    kept = Statistics.objects.first()
    return None if kept is None else _load(kept.made_at, kept.seconds, kept.figures)


def refresh_if_due(at: datetime | None = None) -> bool:
    """Count the table if something was flushed since, and not too soon; tell whether it was."""
    if not _is_due(at or utc_now()):
        return False
    refresh_statistics(at)
    return True


def refresh_statistics(at: datetime | None = None) -> None:
    """Count the table and keep the result. Of two at once the later one stays."""
    at, started = at or utc_now(), time.monotonic()
    last_run = _last_run()
    figures = count(at)
    Statistics.objects.update_or_create(
        id=1,
        defaults={
            "made_at": at,
            "seconds": round(time.monotonic() - started, 3),
            "last_run": last_run,
            "figures": json.dumps(figures, separators=(",", ":")),
        },
    )


def _is_due(at: datetime) -> bool:
    kept = Statistics.objects.using(writing_alias()).defer("figures").first()
    if kept is None:
        return True
    age_seconds = (at - kept.made_at).total_seconds()
    if 0 <= age_seconds < max(MIN_SECONDS, REST_FACTOR * kept.seconds):
        return False
    return age_seconds >= MAX_SECONDS or kept.last_run != _last_run()


def _last_run() -> int:
    return FlushRun.objects.using(writing_alias()).aggregate(last=Max("id"))["last"] or 0


def count(at: datetime) -> dict[str, Any]:
    """Return the counts as plain JSON types, from three passes over the table or an index of it."""
    countries, sources = Counter[str](), Counter[str]()
    row_count = empty_count = 0
    # One pass for four figures: it has few groups.
    groups = GeoCache.objects.using(writing_alias()).values_list("country_code", "source", "reason")
    for country_code, source, reason, count in groups.annotate(count=Count("*")):
        row_count += count
        empty_count += count if reason else 0
        countries[country_code] += count
        sources[source] += count
    # What is not known is counted above.
    del countries[""], sources[""]
    return {
        "row_count": row_count,
        "empty_count": empty_count,
        "countries": dict(countries.most_common()),
        "operators": _count_operators(),
        "sources": dict(sources.most_common()),
        "days": _count_days(at),
    }


def _count_operators() -> list[tuple[Any, ...]]:
    groups = GeoCache.objects.using(writing_alias()).filter(asn__isnull=False).values("asn")
    # Of its names in several databases any will do.
    counted = groups.annotate(name=Max("organization"), count=Count("*"))
    return list(
        counted.order_by("-count", "asn").values_list("asn", "name", "count")[:TOP_OPERATORS]
    )


def _count_days(at: datetime) -> dict[str, int]:
    """Return the count of each of the last days, zeros too."""
    zone = calendar_zone(writing_connection())
    midnight = timezone.localtime(at, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - timedelta(days=DAYS - 1)
    rows = GeoCache.objects.using(writing_alias()).filter(resolved_at__gte=first)
    groups = rows.values_list(TruncDate("resolved_at"))
    counts = dict(groups.annotate(count=Count("*")))
    days = (first.date() + timedelta(days=number) for number in range(DAYS))
    return {day.isoformat(): counts.get(day, 0) for day in days}


@lru_cache(maxsize=1)
def _load(made_at: datetime, seconds: float, text: str) -> Snapshot:
    figures = json.loads(text)
    figures["operators"] = tuple(Operator(*values) for values in figures["operators"])
    figures["days"] = {date.fromisoformat(day): count for day, count in figures["days"].items()}
    return Snapshot(made_at=made_at, seconds=seconds, **figures)
