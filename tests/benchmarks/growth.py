"""The table grows: what do a flush and a look-up in it cost beside the small table?"""

from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_address
from math import log

from django.db import connection

from geocache.journal import writer
from geocache.journal.flush import flush_dirty
from geocache.lookup.network_cache import find_known
from geocache.models import GeoCache
from tests.benchmarks import full_table
from tests.benchmarks.measure import Answer, Bar, Effort, Figure, timed
from tests.factories import a_location

# Where the addresses of ``full_table`` begin, and how far they lie apart.
FIRST = int(IPv4Address("11.0.0.0"))
APART = 8
SCATTER = 7_919
SMALL = 10_000
# What a flush over up to a million rows, and over more, may cost beside the small table.
MILLION = 1_000_000
FLUSH_BARS = {"sqlite": (1.6, 2.5), "postgresql": (1.1, 1.8)}


def measure(effort: Effort) -> list[Answer]:
    sizes = (effort.scaled(SMALL, 1_000), effort.table_rows)
    costs = {size: _costs(size, effort) for size in sizes}
    small, large = costs.values()
    limits = {
        "flush": FLUSH_BARS[connection.vendor][effort.table_rows > MILLION],
        "look-up in the table": log(sizes[1]) / log(sizes[0]),
    }
    answers = []
    for (what, limit), before, behind in zip(limits.items(), small, large, strict=True):
        figures = [
            Figure(f"over {size:,} rows", one)
            for size, one in zip(sizes, (before, behind), strict=True)
        ]
        bar = Bar(
            "of the small table's cost",
            [behind_one / figures[0].median for behind_one in behind],
            at_most=limit,
        )
        answers.append(Answer(f"A {what} as the table grows, each address", figures, [bar]))
    return answers


def _costs(size: int, effort: Effort) -> tuple[list[float], list[float]]:
    full_table.fill(size)
    count = effort.scaled(5_000, 200)
    rounds = range(effort.rounds + 1)
    flushes = [_flush(_scattered(size, count, at + 1)) for at in rounds]
    lookups = [_recall(_scattered(size, count, 0)) for _ in rounds]
    GeoCache.objects.all().delete()
    # The first of each has warmed up.
    return flushes[1:], lookups[1:]


def _scattered(size: int, count: int, beside: int) -> list[str]:
    """Return addresses all over the table: its own rows, or new ones ``beside`` them."""
    return [str(IPv4Address(FIRST + n * SCATTER % size * APART + beside)) for n in range(count)]


def _flush(addresses: list[str]) -> float:
    now = datetime.now(UTC)
    writer.append([a_location(address, resolved_at=now) for address in addresses])
    seconds = timed(flush_dirty)
    GeoCache.objects.filter(address__in=addresses).delete()
    return seconds / len(addresses)


def _recall(addresses: list[str]) -> float:
    """Ask as for a metered provider, whose rows are asked before it is."""
    public = {address: ip_address(address) for address in addresses}
    return timed(lambda: find_known("none", public)) / len(public)
