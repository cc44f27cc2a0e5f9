"""A flush: what does a row cost beside the raw driver?"""

from typing import Any

from django.db import connection

from geocache.journal import writer
from geocache.journal.flush import flush_dirty
from geocache.location import Location
from geocache.models import GeoCache
from geocache.models.answers import row_of
from geocache.providers import factory
from tests.benchmarks import raw_upsert
from tests.benchmarks.addresses import supply
from tests.benchmarks.measure import Answer, Effort, in_turn, speed, timed

# How fast a flush has to be beside the raw driver, in batches and one by one. All begin with an
# empty table.
BARS = {"sqlite": (0.95, 0.8), "postgresql": (0.9, 0.75)}


def measure(effort: Effort) -> list[Answer]:
    given = list(factory.current().resolve_many(supply.take(effort.rows)).values())
    rows = raw_upsert.prepared(sorted(map(row_of, given)))
    figures = in_turn(
        {
            "geocache flush, journaled in batches of 200": lambda: _flush(given, 200),
            "geocache flush, journaled one by one": lambda: _flush(given, 1),
            "the raw driver's bulk upsert, the limit": lambda: _raw(rows),
        },
        effort.rounds,
    )
    batches, singly, raw = figures.values()
    of_batches, of_single = BARS[connection.vendor]
    bars = [
        speed("in batches, as fast as the raw driver", batches, raw, of_batches),
        speed("one by one, as fast as the raw driver", singly, raw, of_single),
    ]
    GeoCache.objects.all().delete()
    return [Answer(f"A flush of {effort.rows:,} new answers, each", [*figures.values()], bars)]


def _flush(given: list[Location], size: int) -> float:
    flush_dirty()
    GeoCache.objects.all().delete()
    for start in range(0, len(given), size):
        writer.append(given[start : start + size])
    seconds = timed(lambda: flush_dirty(time_limit_seconds=600))
    assert GeoCache.objects.count() == len(given)
    return seconds / len(given)


def _raw(rows: list[tuple[Any, ...]]) -> float:
    GeoCache.objects.all().delete()
    return timed(lambda: raw_upsert.write(rows)) / len(rows)
