"""Query a paid provider: reuse known networks, never issue the same query concurrently."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from typing import Final

from msgspec.structs import replace

from geocache import counters
from geocache.addresses import networks_around
from geocache.exceptions import ProviderError
from geocache.journal import last_seen
from geocache.journal.recorder import record
from geocache.location import Location
from geocache.lookup import hot_entries
from geocache.lookup.network_cache import Public, find_known, without
from geocache.lookup.resolution import Resolution, Resolver
from geocache.lookup.single_flight import SingleFlight
from geocache.providers import quota
from geocache.providers.base import Provider

UNANSWERED_ELSEWHERE: Final = "the processes that query it are not answered"


class PaidResolver(Resolver):
    """Query a provider whose answers cost something, about as few addresses as possible."""

    def resolve(self, provider: Provider, build: str, addresses: Public) -> Resolution:
        """Resolve ``addresses``: what is free first, then what is known; the rest is paid for."""
        free = provider.resolve_free(addresses)
        _keep(build, free, is_paid=False)
        missing = without(addresses, free)
        known = find_known(build, missing)
        # The location of a network does not become a hot entry of the address: it would hide the
        # location of a narrower network that comes later.
        hot_entries.set_rows(build, known.by_address.values())
        # The row of a neighbour was looked up, too: once pruned, its network is paid for again.
        networks = {location.network for location in known.by_network.values()}
        last_seen.tracker.add([*known.by_address, *networks])
        counters.count(counters.PROVIDER, len(free))
        counters.count(counters.ROW, len(known.by_address))
        counters.count(counters.NETWORK, len(known.by_network))
        spared = free | known.by_network | known.by_address
        pay = _pay_by_network if provider.names_networks else _pay_together
        paid = pay(provider, build, without(missing, spared))
        return Resolution(spared | paid.locations, paid.failure)


def _pay_together(provider: Provider, build: str, missing: Public) -> Resolution:
    """Query all addresses in one round: no location holds for another address."""
    resolution = _query_once(provider, build, missing)
    return resolution if resolution.failure else Resolution.of(missing, resolution.locations)


def _pay_by_network(provider: Provider, build: str, missing: Public) -> Resolution:
    """Query one address of each network, first of wide ones, then of ever narrower ones.

    Two addresses that one location holds for are never queried together: in the round of that
    network's prefix length, or in one before it, one of them is queried and answers for the other.
    """
    around = {text: networks_around(address) for text, address in missing.items()}
    locations: dict[str, Location] = {}
    for depth in count(1):
        if not around:
            break
        firsts = {text: missing[text] for text in _one_per_network(around, depth)}
        resolution = _query_once(provider, build, firsts)
        left = {text: networks for text, networks in around.items() if text not in firsts}
        inside = _inside(left, resolution.locations)
        counters.count(counters.NETWORK, len(inside))
        new = resolution.locations | inside
        locations |= new
        if resolution.failure:
            return Resolution(locations, resolution.failure)
        around = {text: networks for text, networks in left.items() if text not in new}
    return Resolution.of(missing, locations)


def _one_per_network(around: Mapping[str, list[str]], depth: int) -> list[str]:
    """Return the first address in each network that is the ``depth``-th from the widest."""
    firsts: dict[str, str] = {}
    for text, networks in around.items():
        firsts.setdefault(networks[max(-depth, -len(networks))], text)
    return list(firsts.values())


def _inside(around: Mapping[str, list[str]], new: Mapping[str, Location]) -> dict[str, Location]:
    """Return the locations of addresses that lie in the networks of new locations."""
    networks = {location.network: location for location in new.values()}
    return {
        text: replace(networks[network], address=text)
        for text, candidates in around.items()
        if (network := next((one for one in candidates if one in networks), None))
    }


def _query_once(provider: Provider, build: str, public: Public) -> Resolution:
    """Query what is in no other process's flight, and wait for what is.

    A failure leaves what was paid for before it. An address is in the resolution, or was queried
    without an answer, or there is a failure.
    """
    flight = SingleFlight(build, provider)
    locations: dict[str, Location] = {}
    while True:
        others: dict[str, IPv4Address | IPv6Address] = {}
        for some in flight.parts(public):
            mine = flight.acquire(some)
            others |= {text: one for text, one in some.items() if text not in mine}
            try:
                resolution = _query(provider, build, mine)
            finally:
                flight.release(mine)
            locations |= resolution.locations
            if resolution.failure:
                return Resolution(locations, resolution.failure)
        if not others:
            return Resolution(locations)
        known = flight.wait(others)
        counters.count(counters.SHARED, len(known))
        locations |= known
        public = without(others, known)
        if public and flight.has_waited_long_enough():
            return Resolution(locations, ProviderError(UNANSWERED_ELSEWHERE))


def _query(provider: Provider, build: str, public: Public) -> Resolution:
    # Another process may have resolved some between our look and our lock.
    known = hot_entries.get_near(build, public)
    new: dict[str, Location] = {}
    failure: ProviderError | None = None
    try:
        quota.ask(provider, new, without(public, known))
    except ProviderError as error:
        failure = error
    finally:
        _keep(build, new, is_paid=True)
        counters.count(counters.SHARED, len(known))
        counters.count(counters.PROVIDER, len(new))
    return Resolution(known | new, failure)


def _keep(build: str, new: Mapping[str, Location], *, is_paid: bool) -> None:
    # First the journal, then the hot entry: what another process can be told is journaled.
    record(list(new.values()))
    hot_entries.set_many(build, new.values(), with_networks=is_paid)
    last_seen.tracker.add_new(new)
