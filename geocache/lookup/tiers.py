"""The read path: where is this address?

Memory, hot entry, row and known network (for a metered provider), provider; what is new is
journaled before it is returned. Each tier is asked once for a whole batch.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import structlog
from asgiref.sync import sync_to_async

from geocache.addresses import parse_address, public_text, special_reason
from geocache.exceptions import ProviderError
from geocache.journal import last_seen
from geocache.journal.recorder import record
from geocache.location import UNAVAILABLE, Location
from geocache.log_throttle import LogThrottle
from geocache.lookup import hot_entries, metered
from geocache.lookup.memory import Asked, memory
from geocache.lookup.network_cache import Public, old_rows, without
from geocache.providers import factory
from geocache.providers.base import Provider

log = structlog.get_logger(__name__)

# Addresses that go through the tiers together: bounds memory and the size of one query.
BATCH_ADDRESSES: Final = 1000

provider_down = LogThrottle(seconds=60)


def lookup(address: Asked) -> Location:
    """Return where ``address`` is; a ``Location`` that is false says why nothing is known.

    Raises ``InvalidAddress`` when it is not one IP address, and nothing else: when the provider
    fails, the answer is what the table has or ``unavailable``.
    """
    known = memory.get(address)
    return known if known is not None else _answer_one(address)


def lookup_many(addresses: Iterable[Asked]) -> dict[Asked, Location]:
    """Return the answers under the very texts that were asked for, in their order.

    Raises ``InvalidAddress`` when one of them is not an IP address.
    """
    held = {asked: memory.get(asked) for asked in addresses}
    answers = {asked: known for asked, known in held.items() if known is not None}
    unknown = [asked for asked in held if asked not in answers]
    for start in range(0, len(unknown), BATCH_ADDRESSES):
        answers |= _answer(unknown[start : start + BATCH_ADDRESSES])
    return {asked: answers[asked] for asked in held}


async def alookup(address: Asked) -> Location:
    """Return what ``lookup`` does without blocking the event loop."""
    known = memory.get(address)
    return known if known is not None else await sync_to_async(lookup)(address)


async def alookup_many(addresses: Iterable[Asked]) -> dict[Asked, Location]:
    """Return what ``lookup_many`` does without blocking the event loop."""
    return await sync_to_async(lookup_many)(addresses)


def _answer(askeds: list[Asked]) -> dict[Asked, Location]:
    parsed = {asked: parse_address(asked) for asked in askeds}
    now = datetime.now(UTC)
    answers: dict[str, Location] = {}
    public: dict[str, IPv4Address | IPv6Address] = {}
    texts = {asked: str(address) for asked, address in parsed.items()}
    for text, address in zip(texts.values(), parsed.values(), strict=True):
        if reason := special_reason(address):
            answers[text] = Location(address=text, resolved_at=now, reason=reason)
        else:
            public[text] = address
    if public:
        answers |= _resolve(public)
    result = {asked: answers[text] for asked, text in texts.items()}
    memory.put(pair for pair in result.items() if pair[1].reason != UNAVAILABLE)
    return result


def _answer_one(asked: Asked) -> Location:
    # What ``_answer`` does for many, without what only many need: that is as long as the rest.
    text = public_text(asked)
    if not text:
        return _answer([asked])[asked]
    try:
        provider, build = _provider()
    except ProviderError as error:
        answer = _despite_failure({text: parse_address(text)}, error)[text]
    else:
        known = hot_entries.get(build, text)
        if known is None:
            answer = _resolve_missing(provider, build, {text: parse_address(text)})[text]
        else:
            last_seen.tracker.add_one(text)
            answer = known
    if answer.reason != UNAVAILABLE:
        memory.put(((asked, answer),))
    return answer


def _resolve(public: Public) -> dict[str, Location]:
    try:
        provider, build = _provider()
    except ProviderError as error:
        return _despite_failure(public, error)
    known = hot_entries.get_many(build, public)
    last_seen.tracker.add(known)
    missing = without(public, known)
    return known | _resolve_missing(provider, build, missing) if missing else known


def _provider() -> tuple[Provider, str]:
    """Return the provider and the build that it answers from now; raise ``ProviderError``."""
    provider = factory.current()
    build = provider.build()
    memory.follow(build)
    return provider, build


def _resolve_missing(provider: Provider, build: str, missing: Public) -> dict[str, Location]:
    ask = metered.resolve if provider.is_metered else _ask
    new, failure = ask(provider, build, missing)
    failed = without(missing, new)
    return new | (_despite_failure(failed, failure) if failed else {})


def _ask(
    provider: Provider, build: str, missing: Public
) -> tuple[dict[str, Location], ProviderError]:
    try:
        new = provider.resolve_many(missing)
    except ProviderError as error:
        return {}, error
    answers = list(new.values())
    entry = hot_entries.entry(build, answers[0]) if len(answers) == 1 else None
    # First the journal, then the hot entry: what another process can be told is journaled. One new
    # answer, as a request has it, may do both in one trip.
    if not record(answers, entry):
        hot_entries.set_many(build, answers)
    last_seen.tracker.add_new(new)
    return new, ProviderError(metered.NOT_ALL)


def _despite_failure(missing: Public, error: ProviderError) -> dict[str, Location]:
    """Answer without the provider: an old row beats nothing."""
    if provider_down.is_due():
        log.error("geo_provider_failed", error=str(error))
    now = datetime.now(UTC)
    answers = {
        text: Location(address=text, resolved_at=now, reason=UNAVAILABLE) for text in missing
    }
    rows = old_rows(missing)
    last_seen.tracker.add(rows)
    return answers | rows
