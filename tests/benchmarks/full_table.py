"""A large table of plausible answers, made by the database itself, in seconds a million.

Countries and operators follow Zipf's law; 5 % of the addresses are IPv6, 2 % of the answers are
empty, and the last 90 days resolved them from four databases. Same number of rows, same rows.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django_countries import countries

from geocache.models import FlushRun, GeoCache
from geocache.statistics.table import refresh_if_due

FIRST_COUNTRIES = ("US", "CN", "DE", "IN", "BR", "RU", "FR", "GB", "NL", "JP")
OPERATORS = 5_000
PLACES = 20_000
SOURCES = (
    "GeoLite2-City 2026-01-06",
    "GeoLite2-City 2026-01-06 + GeoLite2-ASN 2026-01-06",
    "GeoLite2-City 2025-12-02",
    "dbip-city-lite 2026-01-01",
)
MEASURED_AT = datetime(2026, 1, 10, 12, tzinfo=UTC)
DAYS = 90
FLUSH_RUNS = 30 * 24 * 60
CHUNK_ROWS = 500_000

# What PostgreSQL and SQLite say differently. ``k`` numbers the networks of an address, ``i`` rows.
DIALECTS = {
    "postgresql": {
        "as_address": "({0})::inet",
        "as_moment": "timestamptz 'epoch' + ({0}) * interval '1 second'",
        "as_day": "resolved_at::date",
        "as_hex": "lpad(to_hex({0}), {1}, '0')",
        "short_hex": "to_hex({0})",
        "source": "(ARRAY[{sources}])[1 + {0}]",
        "bigint": "bigint",
    },
    "sqlite": {
        "as_address": "{0}",
        "as_moment": "datetime({0}, 'unixepoch')",
        "as_day": "date(resolved_at)",
        "as_hex": "format('%0{1}x', {0})",
        "short_hex": "format('%x', {0})",
        "source": "json_extract(json_array({sources}), '$[' || ({0}) || ']')",
        "bigint": "integer",
    },
}

ROWS_SQL = """
    WITH RECURSIVE numbers(i) AS (
        SELECT CAST({first} AS {bigint})
        UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < {stop}
    ),
    addresses AS (
        SELECT i, i % 20 = 0 AS is_v6, i % 50 = 7 AS is_empty, 184549376 + i * 8 AS v4,
               1 + i / 60000 AS v6_high, 1 + i % 60000 AS v6_low
        FROM numbers
    ),
    networks AS (
        SELECT *,
               CASE WHEN is_v6 THEN 7 * v6_high ELSE v4 / 256 END * 7919 % {places} AS place_id,
               {moment} AS resolved_at
        FROM addresses
    )
    INSERT INTO geocache_geocache (
        address, sort_key, network, country_code, region, city, postal_code, latitude, longitude,
        accuracy_radius_km, time_zone, asn, organization, source, reason, resolved_at, created_at,
        last_seen_on)
    SELECT
        CASE WHEN is_v6 THEN {v6} ELSE {v4} END,
        CASE WHEN is_v6 THEN '2a00' || {v6_high} || '00000000000000000000' || {v6_low}
             ELSE '00000000000000000000ffff' || {v4_hex} END,
        CASE WHEN is_empty THEN ''
             WHEN is_v6 THEN '2a00:' || {v6_network} || '::/32'
             ELSE {v4_network} END,
        CASE WHEN is_empty THEN '' ELSE country_code END,
        CASE WHEN is_empty THEN '' ELSE region END,
        CASE WHEN is_empty THEN '' ELSE city END,
        '',
        CASE WHEN is_empty THEN NULL ELSE latitude END,
        CASE WHEN is_empty THEN NULL ELSE longitude END,
        CASE WHEN is_empty THEN NULL ELSE 20 END,
        CASE WHEN is_empty THEN '' ELSE 'Etc/UTC' END,
        CASE WHEN is_empty THEN NULL ELSE asn END,
        CASE WHEN is_empty THEN '' ELSE organization END,
        {source},
        CASE WHEN is_empty THEN 'not_found' ELSE '' END,
        resolved_at,
        resolved_at,
        {as_day}
    FROM networks JOIN benchmark_places ON benchmark_places.id = place_id
"""


def fill(row_count: int) -> None:
    """Make the table hold ``row_count`` rows, unless it does already, and count them."""
    if GeoCache.objects.count() != row_count:
        _make(row_count)
    refresh_if_due(MEASURED_AT)


def _make(row_count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM geocache_geocache")
    _make_places()
    with _without_indexes():
        for first in range(0, row_count, CHUNK_ROWS):
            _make_rows(first, min(first + CHUNK_ROWS, row_count))
    _make_flush_runs()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE benchmark_places")
        if connection.vendor == "postgresql":
            # As autovacuum does a minute later.
            cursor.execute("VACUUM (ANALYZE)")


def _make_places() -> None:
    draw = random.Random(4)  # the same rows each time
    codes = [*FIRST_COUNTRIES, *(code for code, _ in countries if code not in FIRST_COUNTRIES)]
    homes = draw.choices(codes, _zipf(len(codes)), k=OPERATORS)
    numbers = draw.sample(range(1000, 65_000), OPERATORS)
    drawn = draw.choices(range(OPERATORS), _zipf(OPERATORS), k=PLACES)
    places = [
        (
            place,
            homes[operator],
            f"Region {place % 40}",
            f"City {place % 700}",
            round(draw.uniform(-55, 70), 4),
            round(draw.uniform(-180, 180), 4),
            numbers[operator],
            f"Operator {operator} Networks Ltd.",
        )
        for place, operator in enumerate(drawn)
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS benchmark_places")
        cursor.execute(
            "CREATE TABLE benchmark_places (id integer PRIMARY KEY, country_code text, "
            "region text, city text, latitude double precision, longitude double precision, "
            "asn integer, organization text)"
        )
        cursor.executemany(f"INSERT INTO benchmark_places VALUES ({', '.join(['%s'] * 8)})", places)


def _zipf(count: int) -> list[float]:
    return [1 / rank for rank in range(1, count + 1)]


def _make_rows(first: int, stop: int) -> None:
    say = DIALECTS[connection.vendor]
    oldest = int((MEASURED_AT - timedelta(days=DAYS)).timestamp())
    v6 = "'2a00:' || {high} || '::' || {low}".format(
        high=say["short_hex"].format("v6_high"), low=say["short_hex"].format("v6_low")
    )
    dotted = "(v4 / 16777216) || '.' || (v4 / 65536 % 256) || '.' || (v4 / 256 % 256) || '.'"
    statement = ROWS_SQL.format(
        first=first,
        stop=stop,
        places=PLACES,
        bigint=say["bigint"],
        # Scattered by a multiplication, as people come from everywhere at any time.
        as_day=say["as_day"],
        moment=say["as_moment"].format(f"{oldest} + i * 2654435761 % {DAYS * 86_400}"),
        v6=say["as_address"].format(v6),
        v4=say["as_address"].format(f"{dotted} || (v4 % 256)"),
        v6_high=say["as_hex"].format("v6_high", 4),
        v6_low=say["as_hex"].format("v6_low", 4),
        v4_hex=say["as_hex"].format("v4", 8),
        v6_network=say["short_hex"].format("v6_high"),
        v4_network=f"{dotted} || '0/24'",
        source=say["source"].format(
            "i * 31 / 7 % 4", sources=", ".join(f"'{source}'" for source in SOURCES)
        ),
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.replace("%", "%%"), [])


@contextmanager
def _without_indexes() -> Iterator[None]:
    """Make the indexes once, of all rows, which is many times faster than row by row."""
    indexes = GeoCache._meta.indexes
    with connection.schema_editor() as editor:
        for index in indexes:
            editor.remove_index(GeoCache, index)
    yield
    with connection.schema_editor() as editor:
        for index in indexes:
            editor.add_index(GeoCache, index)


def _make_flush_runs() -> None:
    """One a minute for 30 days: some large, some that failed."""
    draw = random.Random(5)
    FlushRun.objects.all().delete()
    FlushRun.objects.bulk_create(
        (
            FlushRun(
                started_at=MEASURED_AT - timedelta(minutes=minute),
                seconds=round(draw.uniform(0.05, 2), 3),
                flushed=int(draw.paretovariate(1.2) * 40) % 50_000,
                rejected=0,
                pending=0,
                timed_out=minute % 5000 == 0,
                error="the cache cannot be reached" if minute % 7000 == 0 else "",
            )
            for minute in range(FLUSH_RUNS)
        ),
        batch_size=1000,
    )
