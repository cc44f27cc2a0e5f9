"""Single-flight: of the processes that miss an address concurrently, one queries the provider.

It locks the block around the address in the cache; the others wait for its hot entry. The lock only
saves money, correctness never rests on it: it runs out when its holder dies, and where the cache is
down all of them query.
"""

import time
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from geocache.addresses import networks_around
from geocache.cache.guard import guarded
from geocache.exceptions import CacheUnavailable
from geocache.location import Location
from geocache.locks.cache_lock import CacheLock
from geocache.lookup import hot_entries

# How long a lock lives when its holder does not release it: longer than a provider's answer takes.
LOCK_SECONDS: Final = 2
# How long one waits for others in all: longer than a lock, so that one of those who wait for a
# holder that has died can take its place.
WAIT_SECONDS: Final = 3.0
FIRST_PAUSE_SECONDS: Final = 0.01
LONGEST_PAUSE_SECONDS: Final = 0.2
# Neighbours often have one answer: a query for one of them locks out those for others in its block.
BLOCK_PREFIX_LENGTHS: Final = {4: 24, 6: 48}

Public = Mapping[str, IPv4Address | IPv6Address]


class SingleFlight:
    """The queries of one caller about addresses, for one build of the database."""

    def __init__(self, build: str) -> None:
        self.build = build
        self._lock = CacheLock(LOCK_SECONDS)

    def acquire(self, public: Public) -> Public:
        """Lock the blocks of addresses; return those addresses whose blocks no other has locked."""
        names = {text: lock_key(self.build, address) for text, address in public.items()}
        try:
            with guarded() as backend:
                acquired = {
                    name: self._lock.acquire(backend, name)
                    for name in dict.fromkeys(names.values())
                }
        except CacheUnavailable as error:
            hot_entries.report_down(error)
            return public
        return {text: address for text, address in public.items() if acquired[names[text]]}

    def release(self, public: Public) -> None:
        """Unlock the blocks of addresses that are still locked by this caller."""
        if not public:
            return
        try:
            with guarded() as backend:
                self._lock.release(backend, self._keys(public))
        except CacheUnavailable as error:
            hot_entries.report_down(error)

    def wait(self, public: Public, until: float) -> dict[str, Location]:
        """Return what others find out while they hold their locks, up to ``until`` (monotonic).

        Comes back early when one of the locks is gone without an answer, so that it can be taken.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            time.sleep(pause)
            known = hot_entries.get_near(self.build, public)
            rest = {text: address for text, address in public.items() if text not in known}
            if not rest or time.monotonic() >= until or not self._are_locked(rest):
                return known
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _are_locked(self, public: Public) -> bool:
        names = self._keys(public)
        try:
            with guarded() as backend:
                return len(backend.get_many(names)) == len(names)
        except CacheUnavailable as error:
            hot_entries.report_down(error)
            return False

    def _keys(self, public: Public) -> set[str]:
        return {lock_key(self.build, address) for address in public.values()}


def lock_key(build: str, address: IPv4Address | IPv6Address) -> str:
    """Return the cache key of the lock on the block around ``address``."""
    prefix_length = BLOCK_PREFIX_LENGTHS[address.version]
    block = networks_around(address)[address.max_prefixlen - prefix_length]
    return hot_entries.key(build, block, "c")
