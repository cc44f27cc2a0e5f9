"""A known address in the same process: what does the answer cost beside the database's own?"""

from collections.abc import Callable

import geoip2.database
from django.contrib.gis.geoip2 import GeoIP2

from geocache.lookup import lookup
from tests.benchmarks.addresses import database_path
from tests.benchmarks.measure import Answer, Effort, cost, in_turn, speed, timed

ADDRESS = "81.2.69.142"


def measure(effort: Effort) -> list[Answer]:
    reader = geoip2.database.Reader(database_path())
    django_reader = GeoIP2(path=database_path())
    limit = {ADDRESS: lookup(ADDRESS)}
    fast, slow = effort.scaled(300_000, 20_000), effort.scaled(5_000, 500)
    figures = in_turn(
        {
            "geocache lookup()": _each(lambda: lookup(ADDRESS), fast),
            "geoip2 Reader.city()": _each(lambda: reader.city(ADDRESS), slow),
            "django.contrib.gis GeoIP2().city()": _each(lambda: django_reader.city(ADDRESS), slow),
            "dict.get(), the limit": _each(lambda: limit.get(ADDRESS), fast),
        },
        effort.rounds,
    )
    own, peer, django_peer, bound = figures.values()
    bars = [
        speed("as fast as Reader.city()", own, peer, 30),
        speed("as fast as GeoIP2().city()", own, django_peer, 60),
        cost("of what dict.get() costs", own, bound, 3),
    ]
    return [Answer("A known address, same process", [*figures.values()], bars)]


def _each(work: Callable[[], object], count: int) -> Callable[[], float]:
    def loop() -> None:
        for _ in range(count):
            work()

    return lambda: timed(loop) / count
