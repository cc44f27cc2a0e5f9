"""Query a paid provider: reuse known networks, never issue the same query concurrently."""

import time
from collections.abc import Mapping
from itertools import count

from msgspec.structs import replace

from geocache.addresses import networks_around
from geocache.exceptions import ProviderError
from geocache.journal import last_seen
from geocache.journal.recorder import record
from geocache.location import Location
from geocache.lookup import hot_entries, single_flight
from geocache.lookup.network_cache import Public, find_known, without
from geocache.lookup.resolution import Resolution, Resolver
from geocache.providers import quota
from geocache.providers.base import Provider


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
        spared = free | known.by_network | known.by_address
        pay = _pay_by_network if provider.names_networks else _pay_together
        paid = pay(provider, build, without(missing, spared))
        return Resolution(spared | paid.locations, paid.failure)


def _pay_together(provider: Provider, build: str, missing: Public) -> Resolution:
    """Query all addresses in one flight: no location holds for another address."""
    try:
        return Resolution.of(missing, _query_once(provider, build, missing))
    except ProviderError as error:
        return Resolution({}, error)


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
        try:
            new = _query_once(provider, build, firsts)
        except ProviderError as error:
            return Resolution(locations, error)
        left = {text: networks for text, networks in around.items() if text not in firsts}
        new |= _inside(left, new)
        locations |= new
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


def _query_once(provider: Provider, build: str, public: Public) -> dict[str, Location]:
    """Query what is in no other process's flight, and wait briefly for what is."""
    until = time.monotonic() + single_flight.WAIT_SECONDS
    flight = single_flight.SingleFlight(build)
    locations: dict[str, Location] = {}
    while public and time.monotonic() < until:
        mine = flight.acquire(public)
        try:
            locations |= _query(provider, build, mine)
        finally:
            flight.release(mine)
        public = {text: address for text, address in public.items() if text not in mine}
        if public:
            locations |= flight.wait(public, until)
            public = without(public, locations)
    return locations | _query(provider, build, public)


def _query(provider: Provider, build: str, public: Public) -> dict[str, Location]:
    # Another process may have resolved some between our look and our lock.
    known = hot_entries.get_near(build, public)
    missing = without(public, known)
    new = quota.ask(provider, missing) if missing else {}
    _keep(build, new, is_paid=True)
    return known | new


def _keep(build: str, new: Mapping[str, Location], *, is_paid: bool) -> None:
    # First the journal, then the hot entry: what another process can be told is journaled.
    record(list(new.values()))
    hot_entries.set_many(build, new.values(), with_networks=is_paid)
    last_seen.tracker.add_new(new)
