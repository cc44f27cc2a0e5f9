"""Where the addresses of each list are, counted behind a flush and kept: a page reads one row."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Max

from geocache.models import FlushRun, GeoCache, ImportSource, ListedAddress
from geocache.models.connection import writing_alias
from geocache.statistics.table import TOP_OPERATORS, Operator

# Counted again so often where lists stay the same, as answers come and change.
PERIOD: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geography:
    """Counts of the addresses of one list that are in the table, the largest first."""

    made_at: datetime
    address_count: int
    countries: Mapping[str, int]
    operators: tuple[Operator, ...]


def geography_of(source: ImportSource) -> Geography | None:
    """Return what was counted last, or None when nothing was yet."""
    if not source.figures or source.counted_at is None:
        return None
    figures = json.loads(source.figures)
    figures["operators"] = tuple(Operator(*values) for values in figures["operators"])
    return Geography(made_at=source.counted_at, **figures)


def count_due(at: datetime) -> int:
    """Count the lists that have changed, and those whose answers may have; return how many."""
    sources = list(ImportSource.objects.using(writing_alias()).defer("figures"))
    due = [source for source in sources if _is_due(source, at)]
    for source in due:
        figures = json.dumps(count(source), separators=(",", ":"))
        # An import that ended meanwhile has its list counted again.
        rows = ImportSource.objects.filter(pk=source.pk, current_run=source.current_run_id)
        rows.update(figures=figures, counted_at=at, is_counted=True)
    return len(due)


def _is_due(source: ImportSource, at: datetime) -> bool:
    if source.current_run_id is None:
        return False
    if not source.is_counted or source.counted_at is None:
        return True
    if at - source.counted_at < PERIOD:
        return False
    return FlushRun.objects.using(writing_alias()).filter(started_at__gt=source.counted_at).exists()


def count(source: ImportSource) -> dict[str, Any]:
    """Return the counts as plain JSON types."""
    entries = ListedAddress.objects.listed().filter(source=source, is_network=False)
    rows = GeoCache.objects.using(writing_alias()).filter(address__in=entries.addresses())
    countries = rows.values_list("country_code").annotate(count=Count("*")).order_by("-count")
    operators = rows.filter(asn__isnull=False).values("asn")
    operators = operators.annotate(name=Max("organization"), count=Count("*"))
    counts = dict(countries)
    return {
        "address_count": sum(counts.values()),
        "countries": {code: count for code, count in counts.items() if code},
        "operators": list(
            operators.order_by("-count", "asn").values_list("asn", "name", "count")[:TOP_OPERATORS]
        ),
    }
