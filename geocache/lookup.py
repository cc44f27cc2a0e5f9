"""The read path: where is this address?

Memory, hot entry, row and known network (for a metered provider), provider; what is new is
journaled before it is returned. Each tier is asked once for a whole batch.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import structlog
from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, connections, router, transaction

from geocache import conf, providers, store, table
from geocache.addresses import networks_around, parse_address, special_reason
from geocache.exceptions import ProviderError
from geocache.locations import UNAVAILABLE, Location
from geocache.models import GeoCache, GeoCacheQuerySet
from geocache.recorder import record
from geocache.store import Asked
from geocache.throttle import Throttle

log = structlog.get_logger(__name__)

# Addresses that go through the tiers together: bounds memory and the size of one query.
BATCH_ADDRESSES: Final = 1000
# Addresses whose networks are asked for in one query: an IPv6 address lies in 113 of them, and
# SQLite takes 32,766 parameters.
COVERED_ADDRESSES: Final = 250
# The second is what a driver raises on a connection that is closed.
DATABASE_AWAY: Final = (DatabaseError, InterfaceError)

Public = Mapping[str, IPv4Address | IPv6Address]

_provider_down = Throttle(seconds=60)


def lookup(address: Asked) -> Location:
    """Return where ``address`` is; a ``Location`` that is false says why nothing is known.

    Raises ``InvalidAddress`` when it is not one IP address, and nothing else: when the provider
    fails, the answer is what the table has or ``unavailable``.
    """
    known = store.memory.get(address)
    return known if known is not None else _answer([address])[address]


def lookup_many(addresses: Iterable[Asked]) -> dict[Asked, Location]:
    """Return the answers under the very texts that were asked for, in their order.

    Raises ``InvalidAddress`` when one of them is not an IP address.
    """
    held = {asked: store.memory.get(asked) for asked in addresses}
    answers = {asked: known for asked, known in held.items() if known is not None}
    unknown = [asked for asked in held if asked not in answers]
    for start in range(0, len(unknown), BATCH_ADDRESSES):
        answers |= _answer(unknown[start : start + BATCH_ADDRESSES])
    return {asked: answers[asked] for asked in held}


async def alookup(address: Asked) -> Location:
    """Return what ``lookup`` does without blocking the event loop."""
    known = store.memory.get(address)
    return known if known is not None else await sync_to_async(lookup)(address)


async def alookup_many(addresses: Iterable[Asked]) -> dict[Asked, Location]:
    """Return what ``lookup_many`` does without blocking the event loop."""
    return await sync_to_async(lookup_many)(addresses)


def _answer(askeds: list[Asked]) -> dict[Asked, Location]:
    parsed = {asked: parse_address(asked) for asked in askeds}
    now = datetime.now(UTC)
    answers: dict[str, Location] = {}
    public: dict[str, IPv4Address | IPv6Address] = {}
    for address in parsed.values():
        text = str(address)
        if reason := special_reason(address):
            answers[text] = Location(address=text, resolved_at=now, reason=reason)
        else:
            public[text] = address
    if public:
        answers |= _resolve(public)
    result = {asked: answers[str(address)] for asked, address in parsed.items()}
    store.memory.put(pair for pair in result.items() if pair[1].reason != UNAVAILABLE)
    return result


def _resolve(public: Public) -> dict[str, Location]:
    try:
        provider = providers.current()
        build = provider.build()
        store.memory.follow(build)
    except ProviderError as error:
        return _despite_failure(public, error)
    known = store.get_many(build, public)
    missing = _without(public, known)
    if missing and provider.is_metered:
        rows = from_rows(missing)
        store.set_many(build, rows.values())
        known |= rows
        missing = _without(missing, rows)
    if not missing:
        return known
    try:
        new = provider.resolve_many(missing)
        failure = ProviderError("some addresses were not answered")
    except ProviderError as error:
        new, failure = {}, error
    # First the journal, then the hot entry: what another process can be told is journaled.
    record(list(new.values()))
    store.set_many(build, new.values())
    failed = _without(missing, new)
    return known | new | (_despite_failure(failed, failure) if failed else {})


def _without(public: Public, known: Mapping[str, Location]) -> Public:
    return {text: address for text, address in public.items() if text not in known}


def from_rows(missing: Public) -> dict[str, Location]:
    """Answer from the table: the address's own row, else the narrowest known network around it."""
    now = datetime.now(UTC)
    rows = GeoCache.objects.fresh(
        found_since=now - timedelta(seconds=conf.get("ROW_TTL_SECONDS")),
        not_found_since=now - timedelta(seconds=conf.get("NOT_FOUND_TTL_SECONDS")),
    )
    known: dict[str, Location] = {}
    try:
        with _savepoint():
            known |= {text: row.to_location() for text, row in rows.in_bulk(missing).items()}
            others = list(_without(missing, known).items())
            for start in range(0, len(others), COVERED_ADDRESSES):
                known |= _from_networks(rows, dict(others[start : start + COVERED_ADDRESSES]))
    except DATABASE_AWAY as error:
        table.drop_broken_connection()
        log.error("geo_rows_unavailable", error=str(error))
    return known


def _from_networks(rows: GeoCacheQuerySet, missing: Public) -> dict[str, Location]:
    networks = {row.network: row for row in rows.covering(missing.values())}
    known: dict[str, Location] = {}
    for text, address in missing.items():
        around = (networks[network] for network in networks_around(address) if network in networks)
        if row := next(around, None):
            known[text] = row.to_location(text)
    return known


@contextmanager
def _savepoint() -> Iterator[None]:
    """Let a query fail without breaking the transaction that the caller may have open."""
    using = router.db_for_read(GeoCache)
    if connections[using].in_atomic_block:
        with transaction.atomic(using=using):
            yield
    else:
        yield


def _despite_failure(missing: Public, error: ProviderError) -> dict[str, Location]:
    """Answer without the provider: an old row beats nothing."""
    if _provider_down.is_due():
        log.error("geo_provider_failed", error=str(error))
    now = datetime.now(UTC)
    answers = {
        text: Location(address=text, resolved_at=now, reason=UNAVAILABLE) for text in missing
    }
    try:
        with _savepoint():
            rows = GeoCache.objects.in_bulk(missing)
    except DATABASE_AWAY:
        table.drop_broken_connection()
        return answers
    return answers | {text: row.to_location() for text, row in rows.items()}
