"""Single-flight: of the processes that miss an address concurrently, one queries the provider.

It locks the block around the address in the cache; the others wait for its hot entry. The lock only
saves money, correctness never rests on it: it runs out when its holder dies, and where the cache is
down all of them query.

A lock lives for as long as the provider may take. A long batch is queried in parts: other processes
wait for a part only, also when its holder has died, and each is journaled before the next is paid.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from itertools import islice
from typing import Final

from geocache.addresses import networks_around
from geocache.cache.guard import guarded
from geocache.exceptions import CacheUnavailable
from geocache.location import Location
from geocache.locks.cache_lock import CacheLock
from geocache.lookup import hot_entries
from geocache.lookup.execution import Execution
from geocache.providers.base import Provider

# A batch has fewer. A part of it is halved while it may take longer than this, in seconds ...
MOST_ADDRESSES: Final = 1024
PART_SECONDS: Final = 60.0
# ... but not below so many addresses: a part that fails as a whole ends the batch, and a single
# address that the provider fails on must not.
FEWEST_ADDRESSES: Final = 4
# For what is done with an answer before the lock is released.
MARGIN_SECONDS: Final = 2.0
FIRST_PAUSE_SECONDS: Final = 0.01
LONGEST_PAUSE_SECONDS: Final = 0.2
# Neighbours often have one answer: a query for one of them locks out those for others in its block.
BLOCK_PREFIX_LENGTHS: Final = {4: 24, 6: 48}

Public = Mapping[str, IPv4Address | IPv6Address]


class SingleFlight:
    """The queries of one caller to a provider, for one build of the database."""

    def __init__(self, build: str, provider: Provider, token: str = "") -> None:
        self.build = build
        self._token = token
        self._provider = provider
        self._part_size = _part_size(provider)
        # As long as the lock of any other may live.
        self.wait_seconds = self._lock_seconds(self._part_size)
        self.lock = CacheLock(self.wait_seconds, token)
        self._waits_until: float | None = None

    def parts(self, public: Public) -> Iterator[Public]:
        """Give the addresses in parts, each to be locked, queried and released before the next."""
        left = iter(public.items())
        while part := dict(islice(left, self._part_size)):
            yield part

    def acquire(self, public: Public) -> Public:
        """Lock the blocks of a part, once the part before it is released.

        Return those of its addresses whose blocks no other has locked.
        """
        return acquire_all([(self, public)])[0]

    def release(self, public: Public) -> None:
        """Unlock the blocks of addresses that are still locked by this caller."""
        release_all([(self, public)])

    async def wait(self, by: Execution, public: Public) -> dict[str, Location]:
        """Return what others find out while they hold their locks.

        Comes back early when one of the locks is gone without an answer, so that it can be taken,
        and at last after ``wait_seconds``, counted from the first time that this caller waits.
        """
        if self._waits_until is None:
            self._waits_until = time.monotonic() + self.wait_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            await by.sleep(pause)
            known, is_over = await by.run(self._look, public)
            if is_over:
                return known
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _look(self, public: Public) -> tuple[dict[str, Location], bool]:
        """Return what others have found out, and whether there is nothing more to wait for."""
        known = self.find_known(public)
        rest = {text: address for text, address in public.items() if text not in known}
        is_over = not rest or self.has_waited_long_enough() or not self._are_locked(rest)
        return known, is_over

    def find_known(self, public: Public) -> dict[str, Location]:
        """Return what others have found out, by the networks of their answers if there are any."""
        names_networks = self._provider.names_networks
        return (hot_entries.get_near if names_networks else hot_entries.get_many)(
            self.build, public
        )

    def has_waited_long_enough(self) -> bool:
        """Tell whether all locks that were held when this caller began to wait have run out."""
        return self._waits_until is not None and time.monotonic() >= self._waits_until

    def _lock_seconds(self, count: int) -> float:
        return self._provider.time_limit_seconds(count) + MARGIN_SECONDS

    def _are_locked(self, public: Public) -> bool:
        names = set(self.keys(public).values())
        try:
            with guarded() as backend:
                return len(backend.get_many(names)) == len(names)
        except CacheUnavailable as error:
            hot_entries.report_down(error)
            return False

    def renew_lock(self, public: Public) -> None:
        """Begin a lock that lives for as long as it may take to query these addresses."""
        self.lock = CacheLock(self._lock_seconds(len(public)), self._token)

    def keys(self, public: Public) -> dict[str, str]:
        """Return by address the cache key of the lock on the block around it."""
        return {text: lock_key(self.build, address) for text, address in public.items()}


def acquire_all(flights: Iterable[tuple[SingleFlight, Public]]) -> list[Public]:
    """Lock blocks as ``SingleFlight.acquire`` does, in one trip for each holder."""
    listed = [(flight, public, flight.keys(public)) for flight, public in flights]
    # A block is locked by the first flight that names it, also where several have one holder.
    first: dict[str, SingleFlight] = {}
    names: defaultdict[tuple[float, str], list[str]] = defaultdict(list)
    for flight, public, keys in listed:
        flight.renew_lock(public)
        for name in keys.values():
            if name not in first:
                first[name] = flight
                names[flight.lock.seconds, flight.lock.token].append(name)
    acquired: set[str] = set()
    try:
        with guarded() as backend:
            for (seconds, token), some in names.items():
                acquired |= CacheLock(seconds, token).acquire_many(backend, some)
    except CacheUnavailable as error:
        hot_entries.report_down(error)
        return [public for _, public, _ in listed]
    return [
        {
            text: address
            for text, address in public.items()
            if keys[text] in acquired and first[keys[text]] is flight
        }
        for flight, public, keys in listed
    ]


def release_all(flights: Iterable[tuple[SingleFlight, Public]]) -> None:
    """Unlock blocks as ``SingleFlight.release`` does, in one trip for each holder."""
    keys: defaultdict[CacheLock, set[str]] = defaultdict(set)
    holders: dict[str, CacheLock] = {}
    for flight, public in flights:
        if public:
            lock = holders.setdefault(flight.lock.token, flight.lock)
            keys[lock].update(flight.keys(public).values())
    try:
        for lock, names in keys.items():
            with guarded() as backend:
                lock.release(backend, names)
    except CacheUnavailable as error:
        hot_entries.report_down(error)


def lock_key(build: str, address: IPv4Address | IPv6Address) -> str:
    """Return the cache key of the lock on the block around ``address``."""
    return hot_entries.key(build, block_of(address), "c")


def block_of(address: IPv4Address | IPv6Address) -> str:
    """Return the block around ``address``."""
    length = BLOCK_PREFIX_LENGTHS[address.version]
    rest = address.max_prefixlen - length
    return f"{type(address)(int(address) >> rest << rest)}/{length}"


def networks_of_block(address: IPv4Address | IPv6Address) -> list[str]:
    """Return the networks around ``address``, from the narrowest one to its block."""
    length = address.max_prefixlen - BLOCK_PREFIX_LENGTHS[address.version]
    return networks_around(address)[: length + 1]


def _part_size(provider: Provider) -> int:
    size = MOST_ADDRESSES
    while size > FEWEST_ADDRESSES and provider.time_limit_seconds(size) > PART_SECONDS:
        size //= 2
    return size
