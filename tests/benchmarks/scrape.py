"""Metrics: what does it cost to count, and to read all figures for one scrape?"""

from datetime import UTC, datetime
from unittest import mock

from geocache import counters
from geocache.health import parts
from geocache.lookup import lookup_many
from geocache.metrics.page import render
from geocache.models import Ban
from geocache.statistics.table import refresh_statistics
from tests.benchmarks.addresses import supply
from tests.benchmarks.measure import Answer, Bar, Effort, in_turn, timed

BANS = 100_000


def measure(effort: Effort) -> list[Answer]:
    return [_counting(effort), _scraping(effort)]


def _counting(effort: Effort) -> Answer:
    count = effort.scaled(1_000_000, 10_000)

    def counted() -> float:
        return timed(lambda: [counters.count(counters.HOT_ENTRY) for _ in range(count)]) / count

    def nothing() -> float:
        return timed(lambda: [None for _ in range(count)]) / count

    figures = in_turn({"counters.count()": counted, "an empty loop": nothing}, effort.rounds)
    own, peer = figures.values()
    costs = [ours - theirs for ours, theirs in zip(own.values, peer.values, strict=True)]
    bar = Bar("more than an empty loop", [one * 1e9 for one in costs], at_most=500, unit="ns")
    return Answer("To count a look-up that memory does not answer", [own, peer], [bar])


def _scraping(effort: Effort) -> Answer:
    lookup_many(supply.take(effort.scaled(1_000, 50)))
    bans = effort.scaled(BANS, 50)
    now = datetime.now(UTC)
    entries = (f"100.{64 + (n >> 16)}.{(n >> 8) & 255}.{n & 255}" for n in range(bans))
    Ban.objects.bulk_create((Ban(entry=one, banned_at=now) for one in entries), batch_size=1_000)
    refresh_statistics(now)

    def scraped() -> float:
        # Scrapes within a second share what was read.
        with mock.patch.object(parts, "SHARED_SECONDS", 0):
            return timed(lambda: render(""))

    try:
        ways = {f"a scrape, with {bans:,} bans": scraped, "what was just read": _shared}
        figures = in_turn(ways, effort.scaled(10 * effort.rounds, 1))
    finally:
        Ban.objects.all().delete()
    own, shared = figures.values()
    bar = Bar("a scrape", [one * 1e3 for one in own.values], at_most=500, unit="ms")
    return Answer("A scrape of /metrics", [own, shared], [bar])


def _shared() -> float:
    return timed(lambda: render(""))
