"""What one answer occupies, and what it takes of a server: the figures behind docs/scale.md."""

from typing import Any

from django.core.cache.backends.redis import RedisCache
from django.db import connection

from geocache.cache import backends
from geocache.journal import writer
from geocache.journal.flush import flush_dirty
from geocache.location import dump_locations
from geocache.lookup import hot_entries, lookup
from geocache.lookup.memory import memory
from geocache.models import GeoCache
from geocache.providers import factory
from tests.benchmarks.addresses import supply
from tests.benchmarks.measure import Answer, Bar, Effort, Figure
from tests.support.redis_client import redis_client

# What a row with its indexes may occupy.
ROW_BYTES = {"sqlite": 520, "postgresql": 420}


def measure(effort: Effort) -> list[Answer]:
    addresses = supply.take(effort.scaled(20_000, 500))
    cache = backends.current()
    figures = []
    if isinstance(cache, RedisCache):
        with redis_client() as client:
            figures = _redis(client, cache, addresses)
    row = _table(addresses)
    bar = Bar("bytes of a row", row.values, at_most=ROW_BYTES[connection.vendor], unit="bytes")
    asked = "What one answer occupies, and takes of a server"
    return [Answer(asked, [*figures, row], [bar])]


def _redis(client: Any, cache: RedisCache, addresses: list[str]) -> list[Figure]:
    new = _processor_seconds(client, addresses)
    memory.clear()
    hot = _processor_seconds(client, addresses)
    entry = hot_entries.key(factory.current().build(), addresses[0])
    cache.set("footprint", dump_locations([lookup(addresses[0])]), timeout=None)
    return [
        Figure("Redis's processor, a new address", [new]),
        Figure("Redis's processor, a hot entry", [hot]),
        Figure("a hot entry in Redis", [client.memory_usage(cache.make_key(entry))], "bytes"),
        Figure("a record in Redis", [client.memory_usage(cache.make_key("footprint"))], "bytes"),
    ]


def _processor_seconds(client: Any, addresses: list[str]) -> float:
    """Return what looking up takes of Redis for each; what others ask of it meanwhile is in it."""
    before = client.info("cpu")
    for address in addresses:
        lookup(address)
    after = client.info("cpu")
    names = ("used_cpu_user", "used_cpu_sys")
    return sum(after[name] - before[name] for name in names) / len(addresses)


def _table(addresses: list[str]) -> Figure:
    flush_dirty(time_limit_seconds=600)
    GeoCache.objects.all().delete()
    writer.append(list(factory.current().resolve_many(addresses).values()))
    flush_dirty(time_limit_seconds=600)
    return Figure("a row with its indexes", [_table_bytes() / len(addresses)], "bytes")


def _table_bytes() -> int:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Deleted rows are still in it, until they are gone.
            cursor.execute(f"VACUUM FULL {GeoCache._meta.db_table}")
            cursor.execute("SELECT pg_total_relation_size(%s)", [GeoCache._meta.db_table])
        else:
            # The whole file; all else in it is small.
            cursor.execute("VACUUM")
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        size: int = cursor.fetchone()[0]
    return size
