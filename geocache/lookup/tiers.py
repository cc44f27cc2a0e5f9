"""The read path: where is this address?

Memory, hot entry, row and known network (for a metered provider), provider; what is new is
journaled before it is returned. Each tier is queried once for a whole batch.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from itertools import islice
from time import monotonic
from typing import Final

from asgiref.sync import sync_to_async

from geocache import background, counters
from geocache.addresses import parse_address, public_text, special_reason
from geocache.exceptions import ProviderError
from geocache.journal import last_seen
from geocache.journal.announcements import held_back
from geocache.location import UNAVAILABLE, Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.lookup import hot_entries
from geocache.lookup.memory import Asked, memory
from geocache.lookup.metered import PaidResolver
from geocache.lookup.network_cache import Public, old_rows
from geocache.lookup.resolution import FreeResolver
from geocache.providers import factory
from geocache.providers.base import Provider

log = get_logger(__name__)

Address = IPv4Address | IPv6Address

# Addresses that go through the tiers together: bounds memory and the size of one query.
BATCH_ADDRESSES: Final = 1000
FREE: Final = FreeResolver()
PAID: Final = PaidResolver()

# Bound once: CPython looks for the method of an imported object at each call, which is a sixth of
# the time of a known address.
recall: Final = memory.get

provider_down = LogThrottle(seconds=60)


def lookup(address: Asked) -> Location:
    """Return where ``address`` is; a ``Location`` that is false says why nothing is known.

    Raises ``InvalidAddress`` when it is not one IP address, and nothing else: when the provider
    fails, the answer is what the table has or ``unavailable``.
    """
    try:
        # ``memory.get`` for the young ones: a call of it would take as long as the rest.
        location, until = memory.young[address]
        if until > monotonic():
            return location
    except (KeyError, TypeError):
        pass  # not known, or not hashable, so that it is not an address either
    return _locate_one(address)


def lookup_many(addresses: Iterable[Asked]) -> dict[Asked, Location]:
    """Return the locations under the very texts that were asked for, in their order.

    Raises ``InvalidAddress`` when one of them is not an IP address.
    """
    askeds = list(addresses)
    try:
        held = memory.get_many(askeds)
    except TypeError:
        for asked in askeds:
            parse_address(asked)  # what is not hashable is not an address
        raise
    locations = {asked: known for asked, known in held.items() if known is not None}
    # All of them before any is paid for: what is not an address ends the call.
    unknown = {asked: public_text(asked) for asked in held if asked not in locations}
    if unknown:
        left = iter(unknown.items())
        with held_back():
            while batch := dict(islice(left, BATCH_ADDRESSES)):
                locations |= locate_texts(batch)
    return {asked: locations[asked] for asked in held}


async def alookup(address: Asked) -> Location:
    """Return what ``lookup`` does without blocking the event loop."""
    try:
        known = recall(address)
    except TypeError:
        known = None  # as above
    return known if known is not None else await sync_to_async(lookup)(address)


async def alookup_many(addresses: Iterable[Asked]) -> dict[Asked, Location]:
    """Return what ``lookup_many`` does without blocking the event loop."""
    return await sync_to_async(lookup_many)(addresses)


def locate_batch(parsed: Mapping[Asked, Address]) -> dict[Asked, Location]:
    """Locate addresses that memory does not know; each tier is asked once for all of them."""
    return locate_texts({asked: public_text(address) for asked, address in parsed.items()})


def locate_texts(texts: Mapping[Asked, str]) -> dict[Asked, Location]:
    """Locate what ``public_text`` says of addresses: the empty text is one that is special."""
    # Each once, in their order.
    public = [*dict.fromkeys(filter(None, texts.values()))]
    known = _resolve(public) if public else {}
    result = {asked: known[text] if text else _special(asked) for asked, text in texts.items()}
    memory.put(pair for pair in result.items() if pair[1].reason != UNAVAILABLE)
    return result


def _special(asked: Asked) -> Location:
    counters.count(counters.SPECIAL)
    address = parse_address(asked)
    reason = special_reason(address)
    return Location(address=str(address), resolved_at=datetime.now(UTC), reason=reason)


def _locate_one(asked: Asked) -> Location:
    # What ``locate_texts`` does for many, without what only many need: that is as long as the rest.
    text = public_text(asked)
    if (held := memory.get_old(asked)) is not None:
        return held
    if not text:
        location = _special(asked)
    else:
        try:
            provider, build = _provider()
        except ProviderError as error:
            location = _despite_failure({text: parse_address(text)}, error)[text]
        else:
            known = hot_entries.get(build, text)
            if known is None:
                return _resolve_one(asked, text, provider, build)
            last_seen.tracker.add_one(text)
            counters.count(counters.HOT_ENTRY)
            location = known
    if location.reason != UNAVAILABLE:
        memory.put_one(asked, location)
    return location


def _resolve_one(asked: Asked, text: str, provider: Provider, build: str) -> Location:
    with held_back():
        location = _resolve_missing(provider, build, [text])[text]
        if location.reason != UNAVAILABLE:
            memory.put_one(asked, location)
    return location


def _resolve(public: Collection[str]) -> dict[str, Location]:
    try:
        provider, build = _provider()
    except ProviderError as error:
        return _despite_failure(_parsed(public), error)
    known = hot_entries.get_many(build, public)
    counters.count(counters.HOT_ENTRY, len(known))
    last_seen.tracker.add(known)
    missing = [text for text in public if text not in known]
    return known | _resolve_missing(provider, build, missing) if missing else known


def _parsed(public: Iterable[str]) -> Public:
    return {text: parse_address(text) for text in public}


def _provider() -> tuple[Provider, str]:
    """Return the provider and the build that it resolves from now; raise ``ProviderError``."""
    # Where no request comes, as in a worker or a shell, the first look-up starts it.
    if not background.of_this_process.is_running:
        background.start()
    provider = factory.current()
    build = provider.build()
    memory.follow(build)
    return provider, build


def _provider_name() -> str | None:
    try:
        return factory.current().log_name
    except ProviderError:
        # One that cannot even be made.
        return None


def _resolve_missing(
    provider: Provider, build: str, missing: Collection[str]
) -> dict[str, Location]:
    # Addresses are objects only where networks are looked for.
    resolution = (
        PAID.resolve(provider, build, _parsed(missing))
        if provider.is_metered
        else FREE.resolve(provider, build, missing)
    )
    if resolution.failure is None:
        return resolution.locations
    failed = _parsed(text for text in missing if text not in resolution.locations)
    return resolution.locations | _despite_failure(failed, resolution.failure)


def _despite_failure(missing: Public, error: ProviderError) -> dict[str, Location]:
    """Locate without the provider: an old row beats nothing."""
    if provider_down.is_due():
        log.error("geo_provider_failed", provider=_provider_name(), error=str(error))
    now = datetime.now(UTC)
    locations = {
        text: Location(address=text, resolved_at=now, reason=UNAVAILABLE) for text in missing
    }
    rows = old_rows(missing)
    counters.count(counters.OLD_ROW, len(rows))
    counters.count(counters.UNAVAILABLE, len(missing) - len(rows))
    last_seen.tracker.add(rows)
    return locations | rows
