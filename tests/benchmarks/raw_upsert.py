"""The raw driver's best bulk upsert of the same rows: what no flush can beat."""

from typing import Any

from django.db import connection, transaction

from geocache.models import GeoCache
from geocache.models.answers import ROW_FIELDS
from geocache.models.upsert import Row, Upsert

TABLE = GeoCache._meta.db_table
COLUMNS = ", ".join(ROW_FIELDS)


def write(rows: list[Row]) -> None:
    """Write rows of ``ROW_FIELDS`` that are sorted by address, in one transaction."""
    with transaction.atomic():
        _WAYS[connection.vendor](rows)


def prepared(rows: list[Row]) -> list[Row]:
    """Return the rows with what the driver takes, which is not part of the time."""
    return _upsert().adapted(rows) if connection.vendor == "sqlite" else rows


def _upsert() -> Upsert:
    return Upsert(
        connection=connection,
        model=GeoCache,
        fields=ROW_FIELDS,
        newest_by="resolved_at",
        insert_only=["created_at"],
        raised=["last_seen_on"],
    )


def _execute_many(rows: list[Row]) -> None:
    marks = ", ".join("?" * len(ROW_FIELDS))
    driver: Any = connection.connection
    driver.executemany(_upsert().statement(f"VALUES ({marks})"), rows)


def _copy_and_merge(rows: list[Row]) -> None:
    with connection.cursor() as cursor:
        driver = cursor.cursor
        driver.execute(
            f"CREATE TEMPORARY TABLE benchmark_copy ON COMMIT DROP AS "
            f"SELECT {COLUMNS} FROM {TABLE} WITH NO DATA"
        )
        with driver.copy(f"COPY benchmark_copy ({COLUMNS}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        driver.execute(_upsert().statement(f"SELECT {COLUMNS} FROM benchmark_copy"))


_WAYS = {"sqlite": _execute_many, "postgresql": _copy_and_merge}
