"""The last look-up tier: a provider resolves what no cache knows, and says why it could not."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Self

from geocache import counters
from geocache.exceptions import ProviderError
from geocache.journal import last_seen
from geocache.journal.recorder import record
from geocache.location import Location
from geocache.lookup import hot_entries
from geocache.lookup.network_cache import Public
from geocache.providers import measured
from geocache.providers.base import Provider

INCOMPLETE: Final = "some addresses were not answered"


@dataclass(frozen=True, slots=True)
class Resolution:
    """The locations by address, and why some addresses have none; None when all have one."""

    locations: dict[str, Location]
    failure: ProviderError | None = None

    @classmethod
    def of(cls, addresses: Iterable[str], locations: dict[str, Location]) -> Self:
        """Return what a provider said about ``addresses`` that raised no error."""
        is_complete = all(address in locations for address in addresses)
        return cls(locations, None if is_complete else ProviderError(INCOMPLETE))


class Resolver(ABC):
    """How a provider is queried. Whether its answers cost something decides which one is used."""

    @abstractmethod
    def resolve(self, provider: Provider, build: str, addresses: Public) -> Resolution:
        """Resolve ``addresses``, which have no hot entry; journal what is new.

        A failure leaves what was resolved before it. Never raises ``ProviderError``.
        """


class FreeResolver(Resolver):
    """Query a provider that costs nothing, about all addresses at once."""

    def resolve(self, provider: Provider, build: str, addresses: Collection[str]) -> Resolution:
        """Resolve ``addresses`` in one call of the provider."""
        new: dict[str, Location] = {}
        try:
            measured.resolve_into(provider, new, addresses)
        except ProviderError as error:
            return Resolution({}, error)
        counters.count(counters.PROVIDER, len(new))
        locations = list(new.values())
        entry = hot_entries.entry(build, locations[0]) if len(locations) == 1 else None
        # First the journal, then the hot entry: what another process can be told is journaled. One
        # new location, as a request has it, may do both in one trip.
        if not record(locations, entry):
            hot_entries.set_many(build, locations)
        last_seen.tracker.add_new(new)
        return Resolution.of(addresses, new)
