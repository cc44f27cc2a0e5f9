"""How many questions a metered provider is asked in a day, counted in the cache by all processes.

A day is one of UTC. A cache that is emptied forgets the count, and the day begins again. If the
counter is unavailable, providers with a limit are not queried.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

import structlog

from geocache.cache import backends
from geocache.cache.guard import guarded
from geocache.exceptions import CacheUnavailable, ProviderError
from geocache.location import Location
from geocache.log_throttle import LogThrottle
from geocache.providers.base import Provider

log = structlog.get_logger(__name__)

DAY_SECONDS: Final = 86_400
# The share of a limit from which one is warned.
LOW_SHARE: Final = 0.8
# And the number of queries left, as the service says itself.
LOW_COUNT: Final = 100

uncounted = LogThrottle(seconds=60)
spent = LogThrottle(seconds=60)
few_left = LogThrottle(seconds=3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one metered provider was asked today; ``remaining_count`` is what the service says."""

    provider: str
    asked_count: int
    limit: int | None = None
    remaining_count: int | None = None

    @property
    def left_count(self) -> int | None:
        """Return how many more may be asked today, by the limit and the service; None: any."""
        by_limit = None if self.limit is None else max(0, self.limit - self.asked_count)
        known = [count for count in (by_limit, self.remaining_count) if count is not None]
        return min(known, default=None)

    @property
    def is_spent(self) -> bool:
        """Tell whether the limit is reached; what a service says of itself stops nobody."""
        return self.limit is not None and self.asked_count >= self.limit

    @property
    def is_low(self) -> bool:
        """Tell whether the limit is near, or reached."""
        is_near = self.limit is not None and self.asked_count >= LOW_SHARE * self.limit
        return is_near or _is_few(self.remaining_count)


def ask(provider: Provider, addresses: Iterable[str]) -> dict[str, Location]:
    """Return what ``provider`` answers about as many of ``addresses`` as its quota allows.

    A question counts when it is asked, whatever comes of it. Raises ``ProviderError`` when all
    failed, or nothing is left of the quota.
    """
    asked = list(addresses)
    # A chain counts for each of its providers.
    if provider.members or not provider.is_metered or not asked:
        return provider.resolve_many(asked)
    granted_count = _reserve(provider, len(asked))
    if not granted_count:
        raise ProviderError(f"{provider.name}: nothing is left of today's queries")
    try:
        return provider.resolve_many(asked[:granted_count])
    finally:
        _share_remaining(provider)


def usages(provider: Provider) -> list[Usage]:
    """Return what each metered provider was asked today; raise ``CacheUnavailable``."""
    leaves = list(metered_leaves(provider))
    if not leaves:
        return []
    keys = [key for leaf in leaves for key in (_count_key(leaf), _remaining_key(leaf))]
    with guarded(fails_fast=False) as backend:
        held = backend.get_many(keys)
    return [
        Usage(
            provider=leaf.name,
            asked_count=held.get(_count_key(leaf), 0),
            limit=leaf.queries_per_day,
            remaining_count=held.get(_remaining_key(leaf)),
        )
        for leaf in leaves
    ]


def metered_leaves(provider: Provider) -> Iterator[Provider]:
    """Give the providers that cost something: those of a chain, or the one itself."""
    if provider.members:
        for member in provider.members:
            yield from metered_leaves(member)
    elif provider.is_metered:
        yield provider


def _reserve(provider: Provider, count: int) -> int:
    """Count questions that are about to be asked; return how many of them may be."""
    limit = provider.queries_per_day
    try:
        with guarded():
            total = _add(_count_key(provider), count)
            if limit is None:
                return count
            granted = min(count, max(0, limit - total + count))
            if granted < count:
                _add(_count_key(provider), granted - count)
    except CacheUnavailable as error:
        if uncounted.is_due():
            log.error("geo_queries_uncounted", provider=provider.name, error=str(error))
        return count if limit is None else 0
    _warn(provider.name, limit, before=total - count, after=total)
    return granted


def _add(key: str, count: int) -> int:
    backend = backends.current()
    try:
        return backend.incr(key, count)
    except ValueError:
        # The first question of a day. Longer than the day, so that it does not run out within it.
        backend.add(key, 0, timeout=2 * DAY_SECONDS)
        return backend.incr(key, count)


def _warn(provider: str, limit: int, *, before: int, after: int) -> None:
    # Of all processes one steps over the mark.
    if before < LOW_SHARE * limit <= after:
        log.warning("geo_budget_low", provider=provider, asked=min(after, limit), limit=limit)
    if after > limit and spent.is_due():
        log.error("geo_budget_spent", provider=provider, limit=limit)


def _share_remaining(provider: Provider) -> None:
    """Leave what the service has said for the processes that show it."""
    remaining = provider.queries_remaining
    if remaining is None:
        return
    if _is_few(remaining) and few_left.is_due():
        log.warning("geo_budget_low", provider=provider.name, remaining=remaining)
    try:
        with guarded() as backend:
            backend.set(_remaining_key(provider), remaining, timeout=DAY_SECONDS)
    except CacheUnavailable as error:
        if uncounted.is_due():
            log.error("geo_queries_uncounted", provider=provider.name, error=str(error))


def _is_few(remaining: int | None) -> bool:
    return remaining is not None and remaining < LOW_COUNT


def _count_key(provider: Provider) -> str:
    return f"q:{_digest(provider)}:{datetime.now(UTC):%Y-%m-%d}"


def _remaining_key(provider: Provider) -> str:
    return f"q:{_digest(provider)}:remaining"


def _digest(provider: Provider) -> str:
    return blake2b(provider.name.encode(), digest_size=6).hexdigest()
