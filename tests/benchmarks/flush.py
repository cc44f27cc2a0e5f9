"""A flush: what does a row cost beside the ways that Django offers?"""

from datetime import UTC, datetime
from typing import Any

from geocache import journal
from geocache.flush import flush_dirty
from geocache.locations import FIELDS, Location
from geocache.models import ROW_FIELDS, GeoCache, _row
from tests.benchmarks.measure import Figure, in_turn, timed
from tests.factories import many_locations

QUESTION = "New answers into the table, per row"
# The slow ways are measured on fewer rows; all start from an empty table.
SLOW_ROWS = 2_000


def measure(rounds: int, rows: int) -> list[Figure]:
    given = many_locations(rows, resolved_at=datetime.now(UTC))
    return in_turn(
        {
            "geocache flush, journaled in batches of 200": lambda: _flush(given, 200),
            "geocache flush, journaled one by one": lambda: _flush(given, 1),
            "bulk_create(update_conflicts=True)": lambda: _bulk_create(given),
            "update_or_create in a loop": lambda: _update_or_create(given[:SLOW_ROWS]),
        },
        rounds,
    )


def _flush(given: list[Location], size: int) -> float:
    flush_dirty()
    GeoCache.objects.all().delete()
    for start in range(0, len(given), size):
        journal.append(given[start : start + size])
    seconds = timed(lambda: flush_dirty(time_limit_seconds=600))
    assert GeoCache.objects.count() == len(given)
    return seconds / len(given)


def _bulk_create(given: list[Location]) -> float:
    GeoCache.objects.all().delete()

    def work() -> None:
        GeoCache.objects.bulk_create(
            [GeoCache(**_fields(location)) for location in given],
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["address"],
            update_fields=[name for name in FIELDS if name != "address"],
        )

    return timed(work) / len(given)


def _update_or_create(given: list[Location]) -> float:
    GeoCache.objects.all().delete()

    def work() -> None:
        for location in given:
            fields = _fields(location)
            GeoCache.objects.update_or_create(address=fields.pop("address"), defaults=fields)

    return timed(work) / len(given)


def _fields(location: Location) -> dict[str, Any]:
    return dict(zip(ROW_FIELDS, _row(location), strict=True))
