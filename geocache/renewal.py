"""Ask the provider anew about addresses whose answers are known."""

from collections.abc import Iterable

from geocache import providers, store
from geocache.addresses import parse_address, special_reason
from geocache.locations import Location
from geocache.recorder import record


def resolve_again(addresses: Iterable[str]) -> dict[str, Location]:
    """Return what the provider answers now, by address, without those that it failed on.

    The new answers are hot at once, and in the table with the next flush. Other processes give the
    old ones from their memory for up to ``MEMORY_TTL_SECONDS``. Private and other special addresses
    are left out. Raises ``ProviderError`` when there is no new answer at all, and
    ``InvalidAddress``.
    """
    parsed = map(parse_address, addresses)
    public = {str(address) for address in parsed if not special_reason(address)}
    if not public:
        return {}
    provider = providers.current()
    build = provider.build()
    new = provider.resolve_many(sorted(public))
    # First the journal, then the hot entry: what another process can be told is journaled.
    record(list(new.values()))
    store.set_many(build, new.values())
    store.memory.clear()
    return new
