"""What is known about one address and where it is held, without asking the provider for it."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from geocache import conf, journal, providers, store
from geocache.addresses import special_reason
from geocache.exceptions import JournalUnavailable, ProviderError
from geocache.known import recall
from geocache.locations import Location
from geocache.models import GeoCache, JournalHead


class Tier(StrEnum):
    """What answers a look-up, behind the memory of each process."""

    SPECIAL = "special"
    HOT_ENTRY = "hot_entry"
    ROW = "row"
    NETWORK = "network"
    PROVIDER = "provider"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The answers that are held for an address, and what would answer now."""

    tier: Tier
    row: GeoCache | None = None
    hot_entry: Location | None = None
    # The newest in the journal; None also when the journal cannot be read.
    pending: Location | None = None
    is_journal_readable: bool = True
    is_metered: bool = False

    def answer(self) -> Location | None:
        """Return the newest answer that is held."""
        row = self.row.to_location() if self.row else None
        held = [one for one in (self.hot_entry, self.pending, row) if one is not None]
        return max(held, key=lambda one: one.resolved_at, default=None)


def trace(address: IPv4Address | IPv6Address) -> Provenance:
    """Return what is known about ``address``; at most four queries, and no question that costs."""
    text = str(address)
    row = GeoCache.objects.filter(address=text).first()
    pending, is_journal_readable = _pending(text)
    try:
        provider = providers.current()
        build, is_metered = provider.build(), provider.is_metered
        hot_entry = store.get_many(build, [text]).get(text)
    except ProviderError:
        # An old row beats nothing.
        hot_entry, is_metered, tier = None, False, Tier.ROW if row else Tier.NONE
    else:
        tier = Tier.PROVIDER
        # "Not found" is an answer, too, though a false one.
        if hot_entry is not None:
            tier = Tier.HOT_ENTRY
        elif is_metered:
            tier = _spared_by(build, address)
    return Provenance(
        tier=Tier.SPECIAL if special_reason(address) else tier,
        row=row,
        hot_entry=hot_entry,
        pending=pending,
        is_journal_readable=is_journal_readable,
        is_metered=is_metered,
    )


def _pending(text: str) -> tuple[Location | None, bool]:
    try:
        return journal.find(JournalHead.position_of(conf.get("CACHE_ALIAS")), text), True
    except JournalUnavailable:
        return None, False


def _spared_by(build: str, address: IPv4Address | IPv6Address) -> Tier:
    known = recall(build, {str(address): address})
    if known.own:
        return Tier.ROW
    return Tier.NETWORK if known.near else Tier.PROVIDER
