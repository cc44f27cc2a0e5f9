"""What a look-up of one address would do now, and what it would cost. Asks nobody that costs."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from geocache.addresses import parse_address, special_reason
from geocache.exceptions import CacheUnavailable, ProviderError
from geocache.location import Location
from geocache.lookup import hot_entries
from geocache.lookup.network_cache import Public, find_known, without
from geocache.providers import factory, quota
from geocache.providers.base import Provider
from geocache.providers.quota import Usage


class Tier(StrEnum):
    """What answers a look-up, behind the memory of each process."""

    SPECIAL = "special"
    HOT_ENTRY = "hot_entry"
    ROW = "row"
    NETWORK = "network"
    PROVIDER = "provider"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a look-up would do now."""

    tier: Tier
    # Who would be paid for one query; None: it costs nothing.
    usage: Usage | None = None
    # The answer that holds for a network around the address.
    near: Location | None = None
    # Why nobody can be asked; then an old row stands in, if there is one.
    failure: str = ""


def plan(provider: Provider, build: str, wanted: Public, row: object) -> Plan:
    """Go the way of a look-up that finds no hot entry, as far as it costs nothing.

    ``wanted`` is one address, and ``row`` its row of any age, if there is one.
    """
    if not provider.is_metered or provider.resolve_free(wanted):
        return Plan(tier=Tier.PROVIDER)
    known = find_known(build, wanted)
    if known.by_address:
        return Plan(tier=Tier.ROW)
    if known.by_network:
        return Plan(tier=Tier.NETWORK, near=next(iter(known.by_network.values())))
    return _paid(provider, row)


def payable_count(addresses: Iterable[str]) -> int:
    """Return how many of ``addresses`` a look-up would pay for now, at most."""
    try:
        provider = factory.current()
        if not provider.is_metered:
            return 0
        build = provider.build()
        parsed = {str(address): address for address in map(parse_address, addresses)}
        public = {text: one for text, one in parsed.items() if not special_reason(one)}
        missing = without(public, hot_entries.get_many(build, public))
        missing = without(missing, provider.resolve_free(missing))
    except ProviderError:
        return 0  # nobody can be asked
    known = find_known(build, missing)
    return len(without(missing, known.by_address | known.by_network))


def _paid(provider: Provider, row: object) -> Plan:
    try:
        usages = quota.usages(provider)
    except ProviderError as error:
        return without_provider(str(error), row)
    except CacheUnavailable:
        return _uncounted(provider, row)
    unspent = [usage for usage in usages if not usage.is_spent]
    if payable := [usage for usage in unspent if not usage.is_resting]:
        return Plan(tier=Tier.PROVIDER, usage=payable[0])
    if any(not member.is_metered for member in provider.members):
        return Plan(tier=Tier.PROVIDER)
    if unspent:
        return without_provider("the service has asked to be left alone for a while", row)
    return without_provider("nothing is left of today's queries", row)


def _uncounted(provider: Provider, row: object) -> Plan:
    """Without the cache only those without a limit are asked."""
    for leaf in quota.metered_leaves(provider):
        if quota.limit_of(leaf) is None:
            return Plan(tier=Tier.PROVIDER, usage=Usage(provider=leaf.name, asked_count=0))
    return without_provider("the cache, in which queries are counted, is away", row)


def without_provider(failure: str, row: object) -> Plan:
    """Return what is done while nobody can be asked: an old row beats nothing."""
    return Plan(tier=Tier.ROW if row else Tier.NONE, failure=failure)
