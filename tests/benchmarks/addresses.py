"""Addresses that nobody has asked for yet, and the database that knows some of them."""

import importlib.util
import random
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

from geocache.addresses import special_reason

SEED = 2019


def database_path() -> Path:
    """Return the GeoLite2 City of 2019 that the tests' own installation carries."""
    spec = importlib.util.find_spec("_geoip_geolite2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("GeoLite2-City.mmdb")


class Supply:
    """Distinct public IPv4 addresses from all over, each given out once."""

    def __init__(self) -> None:
        self._given: set[int] = set()
        self._numbers = self._anywhere()

    def take(self, count: int) -> list[str]:
        return [str(IPv4Address(next(self._numbers))) for _ in range(count)]

    def _anywhere(self) -> Iterator[int]:
        chance = random.Random(SEED)
        while True:
            number = chance.getrandbits(32)
            if number not in self._given and not special_reason(IPv4Address(number)):
                self._given.add(number)
                yield number


supply = Supply()
