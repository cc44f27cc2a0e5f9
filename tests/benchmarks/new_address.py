"""A new address: what does it cost to resolve and record it, one by one and many at once?"""

import geoip2.database
from django.core.cache.backends.redis import RedisCache
from geoip2.errors import AddressNotFoundError

from geocache.cache import backends
from geocache.journal.flush import flush_dirty
from geocache.location import dump_locations
from geocache.lookup import lookup, lookup_many
from tests.benchmarks.addresses import database_path, supply
from tests.benchmarks.by_services import by_cache
from tests.benchmarks.measure import Answer, Bar, Effort, cost, in_turn, timed
from tests.benchmarks.trips import counted_trips

MANY = 130_000


def measure(effort: Effort) -> list[Answer]:
    reader = geoip2.database.Reader(database_path())
    answers = [_singly(effort, reader), _many(effort, reader)]
    flush_dirty(time_limit_seconds=600)
    return answers


def _singly(effort: Effort, reader: geoip2.database.Reader) -> Answer:
    count = effort.scaled(200, 50)
    cache, text = backends.current(), dump_locations([lookup("81.2.69.142")])

    def record() -> float:
        addresses = supply.take(count)
        return timed(lambda: [lookup(address) for address in addresses]) / count

    def city_and_set() -> float:
        addresses = supply.take(count)

        def work() -> None:
            for address in addresses:
                _city(reader, address)
                cache.set(f"peer:{address}", text, timeout=600)

        return timed(work) / count

    figures = in_turn(
        {"geocache lookup()": record, "Reader.city() and cache.set()": city_and_set},
        effort.scaled(40 * effort.rounds, 1),
    )
    own, peer = figures.values()
    bars = [cost("of what both cost", own, peer, by_cache(1.8, 2.0))]
    if isinstance(cache, RedisCache):
        bars.append(Bar("round trips to Redis, the median", _trips(count), at_most=2, unit="trips"))
    return Answer("A new address from a database file, recorded", [own, peer], bars)


def _trips(count: int) -> list[float]:
    """Return the trips of each look-up: a few more where a segment of the journal begins."""
    counts: list[float] = []
    with counted_trips() as trips:
        for address in supply.take(count):
            before = len(trips)
            lookup(address)
            counts.append(len(trips) - before)
    return counts


def _many(effort: Effort, reader: geoip2.database.Reader) -> Answer:
    count = effort.scaled(MANY, 2_000)
    taken: list[str] = []

    def record() -> float:
        taken[:] = supply.take(count)
        return timed(lambda: lookup_many(taken)) / count

    def cities() -> float:
        return timed(lambda: [_city(reader, address) for address in taken]) / count

    figures = in_turn(
        {"geocache lookup_many()": record, "Reader.city() in a loop": cities}, effort.rounds
    )
    own, peer = figures.values()
    bars = [cost("of what the loop costs", own, peer, by_cache(0.8, 0.7))]
    return Answer(f"{count:,} distinct new addresses, recorded, each", [own, peer], bars)


def _city(reader: geoip2.database.Reader, address: str) -> object:
    try:
        return reader.city(address)
    except AddressNotFoundError:
        return None
