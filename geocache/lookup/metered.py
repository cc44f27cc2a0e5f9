"""Query a paid provider: reuse known networks, never issue the same query concurrently."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
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
from geocache.lookup.execution import BLOCKING, Execution, finished
from geocache.lookup.network_cache import Public, find_known, without
from geocache.lookup.resolution import Resolution, Resolver
from geocache.lookup.single_flight import SingleFlight, acquire_all, networks_of_block, release_all
from geocache.providers.base import Provider

# By address, the networks around it from the narrowest to the widest.
Networks = Mapping[str, list[str]]

UNANSWERED_ELSEWHERE: Final = "the processes that query it are not answered"


class PaidResolver(Resolver):
    """Query a provider whose answers cost something, about as few addresses as possible."""

    def resolve(self, provider: Provider, build: str, addresses: Public) -> Resolution:
        """Resolve ``addresses``: what is free first, then what is known; the rest is paid for."""
        spared = spare(provider, build, addresses)
        paid = finished(pay(BLOCKING, provider, build, without(addresses, spared)))
        return Resolution(spared | paid.locations, paid.failure)


def spare(provider: Provider, build: str, addresses: Public) -> dict[str, Location]:
    """Return what need not be paid for: what the provider says for free, and what is known."""
    free = provider.resolve_free(addresses)
    _keep(build, free, is_paid=False)
    known = find_known(build, without(addresses, free))
    # The location of a network does not become a hot entry of the address: it would hide the
    # location of a narrower network that comes later.
    hot_entries.set_rows(build, known.by_address.values())
    # The row of a neighbour was looked up, too: once pruned, its network is paid for again.
    networks = {location.network for location in known.by_network.values()}
    last_seen.tracker.add([*known.by_address, *networks])
    counters.count(counters.PROVIDER, len(free))
    counters.count(counters.ROW, len(known.by_address))
    counters.count(counters.NETWORK, len(known.by_network))
    return free | known.by_network | known.by_address


async def pay(
    by: Execution, provider: Provider, build: str, missing: Public, *, is_of_one: bool = True
) -> Resolution:
    """Query what is neither free nor known. Of one caller, one network is never paid for twice.

    Addresses of several callers, each of which waits for its own, are queried at the same moment
    unless they are in one block: as they are by several processes.
    """
    if not provider.names_networks:
        return await _pay_together(by, provider, build, missing)
    networks_of = networks_around if is_of_one else networks_of_block
    apart = {text: networks_of(address) for text, address in missing.items()}
    return await _pay_by_network(by, provider, build, missing, apart)


async def _pay_together(
    by: Execution, provider: Provider, build: str, missing: Public
) -> Resolution:
    """Query all addresses in one round: no location holds for another address."""
    resolution = await _query_once(by, provider, build, missing)
    return resolution if resolution.failure else Resolution.of(missing, resolution.locations)


async def _pay_by_network(
    by: Execution, provider: Provider, build: str, missing: Public, apart: Networks
) -> Resolution:
    """Query one address of each network, first of wide ones, then of ever narrower ones.

    Two addresses that one location holds for are never queried together, if both lie in the
    networks of ``apart``: in the round of that network's prefix length, or in one before it, one of
    them is queried and answers for the other.
    """
    locations: dict[str, Location] = {}
    for depth in count(1):
        if not apart:
            break
        firsts = {text: missing[text] for text in _one_per_network(apart, depth)}
        resolution = await _query_once(by, provider, build, firsts)
        left = {text: networks for text, networks in apart.items() if text not in firsts}
        around = {text: networks_around(missing[text]) for text in left}
        inside = _inside(around, resolution.locations)
        counters.count(counters.NETWORK, len(inside))
        new = resolution.locations | inside
        locations |= new
        if resolution.failure:
            return Resolution(locations, resolution.failure)
        apart = {text: networks for text, networks in left.items() if text not in new}
    return Resolution.of(missing, locations)


def _one_per_network(around: Networks, depth: int) -> list[str]:
    """Return the first address in each network that is the ``depth``-th from the widest."""
    firsts: dict[str, str] = {}
    for text, networks in around.items():
        firsts.setdefault(networks[max(-depth, -len(networks))], text)
    return list(firsts.values())


def _inside(around: Networks, new: Mapping[str, Location]) -> dict[str, Location]:
    """Return the locations of addresses that lie in the networks of new locations."""
    networks = {location.network: location for location in new.values()}
    return {
        text: replace(networks[network], address=text)
        for text, candidates in around.items()
        if (network := next((one for one in candidates if one in networks), None))
    }


async def _query_once(by: Execution, provider: Provider, build: str, public: Public) -> Resolution:
    """Query what is in no other process's flight, and wait for what is.

    A failure leaves what was paid for before it. An address is in the resolution, or was queried
    without an answer, or there is a failure.
    """
    flight = SingleFlight(build, provider, by.token)
    locations: dict[str, Location] = {}
    while True:
        others: dict[str, IPv4Address | IPv6Address] = {}
        for some in flight.parts(public):
            query = _Query(flight, some)
            await query.execute(by, provider)
            others |= {text: one for text, one in some.items() if text not in query.mine}
            locations |= query.known | query.new
            if query.failure:
                return Resolution(locations, query.failure)
        if not others:
            return Resolution(locations)
        known = await flight.wait(by, others)
        counters.count(counters.SHARED, len(known))
        locations |= known
        public = without(others, known)
        if public and flight.has_waited_long_enough():
            return Resolution(locations, ProviderError(UNANSWERED_ELSEWHERE))


class _Query:
    """One query: what of its addresses this caller has locked, and what became of them."""

    def __init__(self, flight: SingleFlight, public: Public) -> None:
        self.flight = flight
        self.public = public
        self.mine: Public = {}
        self.known: dict[str, Location] = {}
        self.new: dict[str, Location] = {}
        self.failure: ProviderError | None = None

    async def execute(self, by: Execution, provider: Provider) -> None:
        """Lock, query, journal what is new and release, whatever ends the call."""
        try:
            await by.run_together(_begin, self)
            missing = [text for text in self.mine if text not in self.known]
            await by.ask(provider, self.new, missing)
        except ProviderError as error:
            self.failure = error
        finally:
            if self.mine:
                await by.run_together(_end, self)


def _begin(queries: Sequence[_Query]) -> None:
    """Lock what is to be queried, and look whether another process has resolved it meanwhile."""
    acquired = acquire_all((query.flight, query.public) for query in queries)
    for query, mine in zip(queries, acquired, strict=True):
        query.mine = mine
    for some in _by_build(queries).values():
        mine = {text: address for query in some for text, address in query.mine.items()}
        known = some[0].flight.find_known(mine)
        for query in some:
            query.known = {text: known[text] for text in query.mine if text in known}


def _end(queries: Sequence[_Query]) -> None:
    """Journal what is new, and release the locks."""
    try:
        for build, some in _by_build(queries).items():
            new = {text: location for query in some for text, location in query.new.items()}
            _keep(build, new, is_paid=True)
            counters.count(counters.SHARED, sum(len(query.known) for query in some))
            counters.count(counters.PROVIDER, len(new))
    finally:
        release_all((query.flight, query.mine) for query in queries)


def _by_build(queries: Sequence[_Query]) -> Mapping[str, list[_Query]]:
    found: defaultdict[str, list[_Query]] = defaultdict(list)
    for query in queries:
        found[query.flight.build].append(query)
    return found


def _keep(build: str, new: Mapping[str, Location], *, is_paid: bool) -> None:
    # First the journal, then the hot entry: what another process can be told is journaled.
    record(list(new.values()))
    hot_entries.set_many(build, new.values(), with_networks=is_paid)
    last_seen.tracker.add_new(new)
