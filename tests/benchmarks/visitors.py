"""Requests as a public access log has them, made up and the same every time.

Real logs cannot be given away, so this is how one is made:

- Visitors come from 5,000 networks that the database knows: three of four are IPv4 blocks of 1,024
  addresses, the others IPv6 networks /48, whose visitors have 80 random bits.
- Networks are chosen by a Pareto distribution (alpha 1): few large providers send most visitors.
- A visitor asks as often as a Pareto distribution says (alpha 1.2): most once or twice, few
  crawlers a thousand times. Requests are then shuffled.
- One visitor of twenty is a scanner: an IPv4 address from anywhere.

Whom the database does not know is left out: some of the readers raise an error for them.
"""

import random
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import maxminddb

from geocache.addresses import special_reason
from tests.benchmarks.addresses import database_path

SEED = 2019
NETWORKS = 5_000
MOST_REQUESTS = 1_000
# Of each of the five registries that give out IPv6 addresses.
IPV6_REGIONS = [0x2001, 0x2400, 0x2600, 0x2800, 0x2A00, 0x2C00]

Network = tuple[int, int]


class Visitors:
    """A log that is read on and on; no visitor of one part is in another."""

    def __init__(self) -> None:
        self._chance = random.Random(SEED)
        self._reader = maxminddb.open_database(database_path())
        self._networks = list(self._some_networks())
        self._weights = [self._chance.paretovariate(1) for _ in self._networks]
        self._given: set[str] = set()

    def requests(self, count: int) -> list[str]:
        """Return the addresses of the next ``count`` requests, many of them more than once."""
        asked: list[str] = []
        while len(asked) < count:
            times = min(int(self._chance.paretovariate(1.2)), MOST_REQUESTS)
            asked += [self._visitor()] * times
        del asked[count:]
        self._chance.shuffle(asked)
        return asked

    def _visitor(self) -> str:
        while True:
            if self._chance.random() < 0.05:
                address = str(IPv4Address(self._chance.getrandbits(32)))
            else:
                first, bits = self._chance.choices(self._networks, self._weights)[0]
                number = first | self._chance.getrandbits(bits)
                address = str(IPv4Address(number) if bits == 10 else IPv6Address(number))
            if address not in self._given and self._is_known(address):
                self._given.add(address)
                return address

    def _some_networks(self) -> Iterator[Network]:
        """Give networks by their first address, and how many bits are the visitor's."""
        for n in range(NETWORKS):
            is_ipv4 = n % 4
            while True:
                if is_ipv4:
                    first, bits = self._chance.getrandbits(22) << 10, 10
                    address = str(IPv4Address(first))
                else:
                    region = self._chance.choice(IPV6_REGIONS)
                    # The first /48 of a provider's /32.
                    first, bits = region << 112 | self._chance.getrandbits(16) << 96, 80
                    address = str(IPv6Address(first))
                if self._is_known(address):
                    yield first, bits
                    break

    def _is_known(self, address: str) -> bool:
        ip = IPv6Address(address) if ":" in address else IPv4Address(address)
        return not special_reason(ip) and self._reader.get(address) is not None
