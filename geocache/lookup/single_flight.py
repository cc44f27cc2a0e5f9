"""Single-flight: of the processes that miss an address concurrently, one queries the provider.

It claims the block around the address in the cache; the others wait for its hot entry. A claim only
saves money, correctness never rests on it: it runs out when its holder dies, and where the cache is
down everybody asks.
"""

import time
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from geocache.addresses import networks_around
from geocache.cache import backends
from geocache.location import Location
from geocache.lookup import hot_entries

# How long a claim lives when its holder does not release it: longer than a provider's answer takes.
CLAIM_SECONDS: Final = 2
# How long one waits for others in all: longer than a claim, so that one of those who wait for a
# holder that has died can take its place.
WAIT_SECONDS: Final = 3.0
FIRST_PAUSE_SECONDS: Final = 0.01
LONGEST_PAUSE_SECONDS: Final = 0.2
# Neighbours often have one answer: who asks about one of them asks for the others in its block.
BLOCK_PREFIX_LENGTHS: Final = {4: 24, 6: 48}

Public = Mapping[str, IPv4Address | IPv6Address]


def take(build: str, public: Public) -> Public:
    """Claim the blocks of addresses; return those addresses whose blocks nobody else holds."""
    backend = backends.current()
    taken: dict[str, bool] = {}
    for address in public.values():
        name = _key(build, address)
        if name in taken:
            continue
        try:
            with backends.breaker.guard():
                taken[name] = backend.add(name, 1, timeout=CLAIM_SECONDS)
        except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
            hot_entries.report_down(error)
            return public
    return {text: address for text, address in public.items() if taken[_key(build, address)]}


def release(build: str, public: Public) -> None:
    """Give up the claims on the blocks of addresses."""
    if not public:
        return
    try:
        with backends.breaker.guard():
            backends.current().delete_many({_key(build, address) for address in public.values()})
    except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
        hot_entries.report_down(error)


def wait(build: str, public: Public, until: float) -> dict[str, Location]:
    """Return what others find out while they hold their claims, up to ``until`` (monotonic).

    Comes back early when one of the claims is gone without an answer, so that it can be taken.
    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        time.sleep(pause)
        known = hot_entries.get_near(build, public)
        rest = {text: address for text, address in public.items() if text not in known}
        if not rest or time.monotonic() >= until or not _are_held(build, rest):
            return known
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _are_held(build: str, public: Public) -> bool:
    names = {_key(build, address) for address in public.values()}
    try:
        with backends.breaker.guard():
            return len(backends.current().get_many(names)) == len(names)
    except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
        hot_entries.report_down(error)
        return False


def _key(build: str, address: IPv4Address | IPv6Address) -> str:
    prefix_length = BLOCK_PREFIX_LENGTHS[address.version]
    return hot_entries.key(
        build, networks_around(address)[address.max_prefixlen - prefix_length], "c"
    )
