"""A known address in the same process: what does the answer cost beside the database's own?"""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import geoip2.database

from geocache.lookup import lookup
from tests.benchmarks.measure import Figure, in_turn, timed

ADDRESS = "81.2.69.142"
QUESTION = "A known address, same process, per lookup"


def measure(rounds: int, _: int) -> list[Figure]:
    spec = importlib.util.find_spec("_geoip_geolite2")
    assert spec is not None
    assert spec.origin is not None
    reader = geoip2.database.Reader(Path(spec.origin).with_name("GeoLite2-City.mmdb"))
    limit = {ADDRESS: lookup(ADDRESS)}
    return in_turn(
        {
            "geocache lookup()": _each(lambda: lookup(ADDRESS), 200_000),
            "geoip2 Reader.city()": _each(lambda: reader.city(ADDRESS), 5_000),
            "dict.get(), the limit": _each(lambda: limit.get(ADDRESS), 200_000),
        },
        rounds,
    )


def _each(work: Callable[[], object], count: int) -> Callable[[], float]:
    def loop() -> None:
        for _ in range(count):
            work()

    return lambda: timed(loop) / count
