"""Query a paid provider: reuse known networks, never issue the same query concurrently."""

import time
from collections.abc import Mapping
from itertools import count
from typing import Final

from msgspec.structs import replace

from geocache.addresses import networks_around
from geocache.exceptions import ProviderError
from geocache.journal import last_seen
from geocache.journal.recorder import record
from geocache.location import Location
from geocache.lookup import hot_entries, single_flight
from geocache.lookup.network_cache import Public, find_known, without
from geocache.providers import quota
from geocache.providers.base import Provider

NOT_ALL: Final = "some addresses were not answered"


def resolve(
    provider: Provider, build: str, missing: Public
) -> tuple[dict[str, Location], ProviderError]:
    """Return the answers by address, and why others are missing.

    What costs nothing comes first, then what is known; only the rest is paid for.
    """
    free = provider.resolve_free(missing)
    _keep(build, free, is_paid=False)
    missing = without(missing, free)
    known = find_known(build, missing)
    # An answer of a network does not become a hot entry of the address: it would hide the answer of
    # a narrower network that comes later.
    hot_entries.set_many(build, known.by_address.values())
    # The row of a neighbour is asked for, too: without it somebody would pay for the network again.
    last_seen.tracker.add([*known.by_address, *{one.network for one in known.by_network.values()}])
    spared = free | known.by_network | known.by_address
    ask = _once_per_network if provider.names_networks else _at_once
    paid, failure = ask(provider, build, without(missing, spared))
    return spared | paid, failure


def _at_once(
    provider: Provider, build: str, missing: Public
) -> tuple[dict[str, Location], ProviderError]:
    """Ask about all addresses together: none of the answers holds for another."""
    try:
        return _ask_once(provider, build, missing), ProviderError(NOT_ALL)
    except ProviderError as error:
        return {}, error


def _once_per_network(
    provider: Provider, build: str, missing: Public
) -> tuple[dict[str, Location], ProviderError]:
    """Ask about one address of each network, first of wide ones, then of ever narrower ones.

    Two addresses that one answer holds for are never asked together: in the round of that network's
    prefix length, or in one before it, one of them is asked and answers for the other.
    """
    around = {text: networks_around(address) for text, address in missing.items()}
    answers: dict[str, Location] = {}
    for depth in count(1):
        if not around:
            break
        firsts = {text: missing[text] for text in _one_per_network(around, depth)}
        try:
            new = _ask_once(provider, build, firsts)
        except ProviderError as error:
            return answers, error
        left = {text: networks for text, networks in around.items() if text not in firsts}
        new |= _inside(left, new)
        answers |= new
        around = {text: networks for text, networks in left.items() if text not in new}
    return answers, ProviderError(NOT_ALL)


def _one_per_network(around: Mapping[str, list[str]], depth: int) -> list[str]:
    """Return the first address in each network that is the ``depth``-th from the widest."""
    firsts: dict[str, str] = {}
    for text, networks in around.items():
        firsts.setdefault(networks[max(-depth, -len(networks))], text)
    return list(firsts.values())


def _inside(around: Mapping[str, list[str]], new: Mapping[str, Location]) -> dict[str, Location]:
    """Return the answers for addresses that lie in the networks of new answers."""
    networks = {location.network: location for location in new.values()}
    return {
        text: replace(networks[network], address=text)
        for text, candidates in around.items()
        if (network := next((one for one in candidates if one in networks), None))
    }


def _ask_once(provider: Provider, build: str, public: Public) -> dict[str, Location]:
    """Ask about what no other process asks about now, and wait briefly for what others ask."""
    until = time.monotonic() + single_flight.WAIT_SECONDS
    flight = single_flight.SingleFlight(build)
    answers: dict[str, Location] = {}
    while public and time.monotonic() < until:
        mine = flight.acquire(public)
        try:
            answers |= _ask(provider, build, mine)
        finally:
            flight.release(mine)
        public = {text: address for text, address in public.items() if text not in mine}
        if public:
            answers |= flight.wait(public, until)
            public = without(public, answers)
    return answers | _ask(provider, build, public)


def _ask(provider: Provider, build: str, public: Public) -> dict[str, Location]:
    # Somebody may have answered between our look and our claim.
    known = hot_entries.get_near(build, public)
    asked = without(public, known)
    new = quota.ask(provider, asked) if asked else {}
    _keep(build, new, is_paid=True)
    return known | new


def _keep(build: str, new: Mapping[str, Location], *, is_paid: bool) -> None:
    # First the journal, then the hot entry: what another process can be told is journaled.
    record(list(new.values()))
    hot_entries.set_many(build, new.values(), with_networks=is_paid)
    last_seen.tracker.add_new(new)
