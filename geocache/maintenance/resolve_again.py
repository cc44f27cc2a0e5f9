"""Ask the provider anew about addresses whose answers are known."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from geocache.addresses import AddressLike, parse_address, special_reason
from geocache.journal.announcements import held_back
from geocache.journal.recorder import record
from geocache.location import Location
from geocache.lookup import hot_entries
from geocache.lookup.memory import memory
from geocache.models import GeoCache
from geocache.models.connection import writing_alias
from geocache.providers import factory, quota


def resolve_again(addresses: Iterable[AddressLike], *, is_hot: bool = True) -> dict[str, Location]:
    """Return what the provider answers now, by address, without those that it failed on.

    The new answers are in the table with the next flush, and hot at once: other processes give the
    old ones from their memory for up to ``MEMORY_TTL_SECONDS``. Those that nobody may ask for need
    not be ``is_hot``. Private and other special addresses are left out. Raises ``ProviderError``
    when there is no new answer at all, and ``InvalidAddress``.
    """
    parsed = map(parse_address, addresses)
    public = {str(address) for address in parsed if not special_reason(address)}
    if not public:
        return {}
    with held_back():
        return _resolve(public, is_hot=is_hot)


def _resolve(public: Iterable[str], *, is_hot: bool) -> dict[str, Location]:
    provider = factory.current()
    build = provider.build()
    new: dict[str, Location] = {}
    try:
        quota.ask(provider, new, sorted(public))
    finally:
        # First the journal, then the hot entry: what another process can be told is journaled.
        record([replace(location, is_renewed=True) for location in new.values()])
        if is_hot:
            hot_entries.set_many(build, new.values(), with_networks=provider.is_metered)
            memory.clear()
            _delete_forgotten(build, new)
    return new


def _delete_forgotten(build: str, new: Mapping[str, Location]) -> None:
    """Delete hot entries of rows that are gone: their addresses were forgotten meanwhile."""
    rows = (
        GeoCache.objects.using(writing_alias())
        .filter(pk__in=list(new))
        .values_list("address", flat=True)
    )
    if gone := set(new).difference(rows):
        networks = {network for address in gone if (network := new[address].network)}
        hot_entries.delete_many(build, gone | networks)
