"""The read path: where is this address?

Memory, hot entry, row and known network (for a metered provider), provider; what is new is
journaled before it is returned. Each tier is queried once for a whole batch.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from operator import itemgetter
from time import monotonic
from typing import Final, TypeVar

from geocache import async_pool, background, counters
from geocache.addresses import parse_address, public_text, special_reason
from geocache.batches import batches
from geocache.event_loop import is_running as is_in_loop
from geocache.exceptions import ProviderError
from geocache.journal import last_seen
from geocache.journal.announcements import Announcements, held_back, held_in
from geocache.location import UNAVAILABLE, Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.lookup import hot_entries
from geocache.lookup.execution import BLOCKING, Execution, finished
from geocache.lookup.memory import Asked, memory
from geocache.lookup.metered import PaidResolver, pay, spare
from geocache.lookup.network_cache import Public, old_rows, without
from geocache.lookup.resolution import FreeResolver, Resolution
from geocache.providers import factory
from geocache.providers.base import Provider

log = get_logger(__name__)

Address = IPv4Address | IPv6Address
T = TypeVar("T")
R = TypeVar("R")

# Addresses that go through the tiers together: bounds memory and the size of one query.
BATCH_ADDRESSES: Final = 1000
FREE: Final = FreeResolver()
PAID: Final = PaidResolver()

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
    held, unknown = recall_many(addresses)
    if unknown:
        held |= _in_thread(_locate_many, unknown) if is_in_loop() else _locate_many(unknown)
    return {asked: location for asked, location in held.items() if location is not None}


def _locate_many(unknown: Mapping[Asked, str]) -> dict[Asked, Location]:
    locations: dict[Asked, Location] = {}
    with held_back():
        for some in batches(list(unknown.items()), BATCH_ADDRESSES):
            locations |= locate_texts(dict(some))
    return locations


def _in_thread(locate: Callable[[T], R], unknown: T) -> R:
    """Locate for a caller that blocks its event loop, where Django refuses to ask the database."""
    announcements = Announcements()
    try:
        return async_pool.run_and_wait(held_in(announcements)(locate), unknown)
    finally:
        announcements.send()


def recall_many(
    addresses: Iterable[Asked],
) -> tuple[dict[Asked, Location | None], dict[Asked, str]]:
    """Return what memory knows, in the order of ``addresses``, and ``public_text`` of the rest.

    The rest is in the order in which it is to be located.
    """
    askeds = list(addresses)
    try:
        held = memory.get_many(askeds)
    except TypeError:
        for asked in askeds:
            parse_address(asked)  # what is not hashable is not an address
        raise
    # All of them before any is paid for: what is not an address ends the call.
    unknown = {asked: public_text(asked) for asked, known in held.items() if known is None}
    # Where there are many, neighbours share pages of the database file, and of the cache's index of
    # keys. What is paid for keeps its order: the first ones are answered when a limit is reached.
    if len(unknown) > BATCH_ADDRESSES and not _is_metered():
        unknown = dict(sorted(unknown.items(), key=itemgetter(1)))
    return held, unknown


def locate_batch(parsed: Mapping[Asked, Address]) -> dict[Asked, Location]:
    """Locate addresses that memory does not know; each tier is asked once for all of them."""
    return locate_texts({asked: public_text(address) for asked, address in parsed.items()})


def locate_texts(texts: Mapping[Asked, str]) -> dict[Asked, Location]:
    """Locate what ``public_text`` says of addresses: the empty text is one that is special."""
    return finished(alocate_texts(BLOCKING, texts))


async def alocate_texts(by: Execution, texts: Mapping[Asked, str]) -> dict[Asked, Location]:
    """Do what ``locate_texts`` does; ``by`` executes what asks cache, table and provider."""
    # Each once, in their order.
    public = [*dict.fromkeys(filter(None, texts.values()))]
    known: dict[str, Location] = {}
    if public:
        known, unpaid = await by.run(locate_free, public)
        if unpaid:
            known |= await pay_for(by, unpaid)
    result = {asked: known[text] if text else _special(asked) for asked, text in texts.items()}
    remember(result)
    return result


def _special(asked: Asked) -> Location:
    counters.count(counters.SPECIAL)
    address = parse_address(asked)
    reason = special_reason(address)
    return Location(address=str(address), resolved_at=datetime.now(UTC), reason=reason)


def remember(located: Mapping[Asked, Location]) -> None:
    """Keep locations in memory, without those that the next caller may get."""
    memory.put(pair for pair in located.items() if pair[1].reason != UNAVAILABLE)


def _locate_one(asked: Asked) -> Location:
    # What ``locate_texts`` does for many, without what only many need: that is as long as the rest.
    text = public_text(asked)
    if (held := memory.get_old(asked)) is not None:
        return held
    if not text:
        location = _special(asked)
    elif is_in_loop():
        return _in_thread(_locate_one, asked)
    else:
        try:
            provider, build = _provider()
        except ProviderError as error:
            location = _despite_failure([text], error)[text]
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


@dataclass(frozen=True, slots=True)
class Unpaid:
    """Addresses that a provider has to be paid for."""

    provider: Provider
    build: str
    addresses: Public


def locate_free(public: Collection[str]) -> tuple[dict[str, Location], Unpaid | None]:
    """Return the locations that cost nothing, and what is left."""
    try:
        provider, build = _provider()
    except ProviderError as error:
        return _despite_failure(public, error), None
    known = hot_entries.get_many(build, public)
    counters.count(counters.HOT_ENTRY, len(known))
    last_seen.tracker.add(known)
    missing = [text for text in public if text not in known]
    if missing and not provider.is_metered:
        return known | _resolve_missing(provider, build, missing), None
    unpaid: Public = {}
    if missing:
        parsed = _parsed(missing)
        known |= spare(provider, build, parsed)
        unpaid = without(parsed, known)
    return known, Unpaid(provider, build, unpaid) if unpaid else None


async def pay_for(by: Execution, unpaid: Unpaid, *, is_of_one: bool = True) -> dict[str, Location]:
    """Locate what has to be paid for; ``is_of_one`` as of ``metered.pay``."""
    provider, build, missing = unpaid.provider, unpaid.build, unpaid.addresses
    resolution = await pay(by, provider, build, missing, is_of_one=is_of_one)
    if resolution.failure is None:
        return resolution.locations
    return await by.run(_or_old_rows, missing, resolution)


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


def _is_metered() -> bool:
    try:
        return factory.current().is_metered
    except ProviderError:
        return False


def _parsed(public: Iterable[str]) -> Public:
    return {text: parse_address(text) for text in public}


def _resolve_missing(
    provider: Provider, build: str, missing: Collection[str]
) -> dict[str, Location]:
    # Addresses are objects only where networks are looked for.
    resolution = (
        PAID.resolve(provider, build, _parsed(missing))
        if provider.is_metered
        else FREE.resolve(provider, build, missing)
    )
    return _or_old_rows(missing, resolution)


def _or_old_rows(missing: Iterable[str], resolution: Resolution) -> dict[str, Location]:
    if resolution.failure is None:
        return resolution.locations
    failed = [text for text in missing if text not in resolution.locations]
    return resolution.locations | _despite_failure(failed, resolution.failure)


def _despite_failure(missing: Collection[str], error: ProviderError) -> dict[str, Location]:
    """Locate without the provider: an old row beats nothing."""
    if provider_down.is_due():
        log.error("geo_provider_failed", provider=_provider_name(), error=str(error))
    now = datetime.now(UTC)
    locations = {
        text: Location(address=text, resolved_at=now, reason=UNAVAILABLE) for text in missing
    }
    rows = old_rows(_parsed(missing))
    counters.count(counters.OLD_ROW, len(rows))
    counters.count(counters.UNAVAILABLE, len(missing) - len(rows))
    last_seen.tracker.add(rows)
    return locations | rows
