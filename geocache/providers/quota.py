"""How many queries a metered provider answers in a day, counted in the cache by all processes.

A query is counted before it is sent and refunded when it was not answered. A day is one of UTC. A
cache that is emptied forgets the count, and the day begins again. If the counter is unavailable,
providers with a limit are not queried. Where a service wants to be left alone, all processes are
told through the cache.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from math import ceil
from typing import Any, Final

from django.core.cache import BaseCache

from geocache import conf
from geocache.async_pool import run_in_pool
from geocache.cache import backends
from geocache.cache.guard import guarded
from geocache.exceptions import CacheUnavailable, ProviderError
from geocache.location import Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.providers import measured
from geocache.providers.base import Provider
from geocache.setting_bounds import DAILY_QUOTA

log = get_logger(__name__)

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
    # The service has asked to be left alone for a while.
    is_resting: bool = False

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


@dataclass(frozen=True, slots=True)
class _Reservation:
    """Queries that may be sent, counted under ``key``; the empty text if they are not counted."""

    count: int
    key: str = ""
    # Of the day, with these.
    total_count: int = 0


def ask(provider: Provider, answers: dict[str, Location], addresses: Iterable[str]) -> None:
    """Put into ``answers`` what ``provider`` answers about as many addresses as its quota allows.

    They are there whatever ends the call; queries that were not answered are refunded. Raises
    ``ProviderError`` when all failed, nothing is left of the quota, or the service has asked to be
    left alone.
    """
    asked = list(addresses)
    if not asked:
        return
    if not _is_counted(provider):
        measured.resolve_into(provider, answers, asked)
        return
    queries = _Queries(provider, asked)
    try:
        queries.reserve()
        measured.resolve_into(provider, answers, queries.sent)
    finally:
        queries.settle(answers)


async def aask(provider: Provider, answers: dict[str, Location], addresses: Iterable[str]) -> None:
    """Do what ``ask`` does, in an event loop, which never waits for the cache.

    The count is right also when the call is cancelled.
    """
    asked = list(addresses)
    if not asked:
        return
    if not _is_counted(provider):
        await measured.aresolve_into(provider, answers, asked)
        return
    queries = _Queries(provider, asked)
    try:
        await run_in_pool(queries.reserve)
        await measured.aresolve_into(provider, answers, queries.sent)
    finally:
        await run_in_pool(queries.settle, answers)


def _is_counted(provider: Provider) -> bool:
    """Tell whether queries are counted here; a chain counts for each of its providers."""
    return provider.is_metered and not provider.members


class _Queries:
    """The queries of one call: counted before they are sent, refunded where not answered."""

    def __init__(self, provider: Provider, asked: list[str]) -> None:
        self.sent: list[str] = []
        self._provider = provider
        self._asked = asked
        self._reserved = _Reservation(0)

    def reserve(self) -> None:
        """Count as many as there may be; raise ``ProviderError`` where that is none."""
        name = self._provider.name
        if _is_resting(self._provider):
            raise ProviderError(f"{name} has asked to be left alone for a while")
        self._reserved = _reserve(self._provider, len(self._asked))
        if not self._reserved.count:
            raise ProviderError(f"{name}: nothing is left of today's queries")
        self.sent = self._asked[: self._reserved.count]

    def settle(self, answers: Mapping[str, Location]) -> None:
        """Refund what is not in ``answers``, and tell others what the service has said."""
        if self.sent:
            answered_count = sum(address in answers for address in self.sent)
            _settle(self._provider, self._reserved, answered_count)
            share(self._provider)


def usages(provider: Provider) -> list[Usage]:
    """Return what each metered provider was asked today; raise ``CacheUnavailable``."""
    leaves = list(metered_leaves(provider))
    if not leaves:
        return []
    keys = [
        key for leaf in leaves for key in (count_key(leaf), _remaining_key(leaf), _rest_key(leaf))
    ]
    with guarded(fails_fast=False) as backend:
        held = backend.get_many(keys)
    return [
        Usage(
            provider=leaf.name,
            # A refund for a count that the cache has lost may leave less than nothing.
            asked_count=max(0, held.get(count_key(leaf), 0)),
            limit=limit_of(leaf),
            remaining_count=held.get(_remaining_key(leaf)),
            is_resting=_rest_key(leaf) in held,
        )
        for leaf in leaves
    ]


def metered_leaves(provider: Provider) -> Iterator[Provider]:
    """Give the providers that cost something: those of a chain, or the one itself."""
    return (leaf for leaf in provider.leaves() if leaf.is_metered)


def limit_of(provider: Provider) -> int | None:
    """Return how many queries a day there may be: ``DAILY_QUOTAS`` first; None: any number."""
    quotas: dict[str, int] = conf.get("DAILY_QUOTAS")
    return quotas.get(provider.name, provider.queries_per_day)


def quota_problem(quotas: Mapping[Any, Any]) -> str:
    """Return what cannot be used of ``DAILY_QUOTAS``, or the empty text."""
    for name, count in quotas.items():
        if not isinstance(name, str):
            return f"DAILY_QUOTAS: {name!r} is not the name of a provider"
        if not DAILY_QUOTA.takes(count):
            return f"DAILY_QUOTAS: {count!r} of {name!r} is not {DAILY_QUOTA.words}"
    return ""


def _is_resting(provider: Provider) -> bool:
    """Tell whether a process was told to leave the service alone, and that rest is not over."""
    try:
        with guarded() as backend:
            return backend.get(_rest_key(provider)) is not None
    except CacheUnavailable as error:
        _report_uncounted(provider, error)
        return False


def _reserve(provider: Provider, count: int) -> _Reservation:
    """Count queries that are about to be sent, as many of ``count`` as there may be."""
    limit = limit_of(provider)
    key = count_key(provider)
    try:
        with guarded() as backend:
            total = _add(key, count)
            granted = count if limit is None else min(count, max(0, limit - total + count))
            if granted < count:
                total = backend.decr(key, count - granted)
    except CacheUnavailable as error:
        _report_uncounted(provider, error)
        return _Reservation(count if limit is None else 0)
    if granted < count and spent.is_due():
        log.error("geo_quota_spent", provider=provider.name, limit=limit)
    return _Reservation(granted, key, total)


def _settle(provider: Provider, reserved: _Reservation, answered_count: int) -> None:
    """Refund the queries that were not answered, on the day on which they were counted."""
    if not reserved.key:
        return
    total = reserved.total_count
    if unanswered_count := reserved.count - answered_count:
        try:
            # Where the cache was emptied meanwhile there is no count, and nothing to refund.
            with guarded() as backend, suppress(ValueError):
                total = backend.decr(reserved.key, unanswered_count)
        except CacheUnavailable as error:
            _report_uncounted(provider, error)
            return
    _warn(provider, before=total - answered_count, after=total)


def _add(key: str, count: int) -> int:
    backend = backends.current()
    try:
        return backends.incr(backend, key, count)
    except ValueError:
        # The first question of a day. Longer than the day, so that it does not run out within it.
        backend.add(key, 0, timeout=2 * DAY_SECONDS)
        return backends.incr(backend, key, count)


def _warn(provider: Provider, *, before: int, after: int) -> None:
    limit = limit_of(provider)
    # Of all processes one steps over the mark.
    if limit is not None and before < LOW_SHARE * limit <= after:
        _say_low(provider, asked=after, remaining=None)


def _say_low(provider: Provider, *, asked: int | None, remaining: int | None) -> None:
    log.warning(
        "geo_quota_low",
        provider=provider.name,
        asked=asked,
        limit=limit_of(provider),
        remaining=remaining,
    )


def share(provider: Provider) -> None:
    """Tell the other processes what the service has said."""
    remaining, rest_seconds = provider.queries_remaining, provider.rest_seconds
    if _is_few(remaining) and few_left.is_due():
        _say_low(provider, asked=None, remaining=remaining)
    if remaining is None and not rest_seconds:
        return
    try:
        with guarded() as backend:
            if remaining is not None:
                backend.set(_remaining_key(provider), remaining, timeout=DAY_SECONDS)
            if rest_seconds:
                _share_rest(backend, _rest_key(provider), rest_seconds)
    except CacheUnavailable as error:
        _report_uncounted(provider, error)


def _share_rest(backend: BaseCache, key: str, seconds: float) -> None:
    """Keep the end of the rest, as a Unix time, until then; the later end of two counts."""
    ends_at = ceil(time.time() + seconds)
    if backend.get(key, 0) < ends_at:
        backend.set(key, ends_at, timeout=ceil(seconds))


def _report_uncounted(provider: Provider, error: CacheUnavailable) -> None:
    if uncounted.is_due():
        log.error("geo_queries_uncounted", provider=provider.name, error=str(error))


def _is_few(remaining: int | None) -> bool:
    return remaining is not None and remaining < LOW_COUNT


def count_key(provider: Provider) -> str:
    """Return the cache key of today's count."""
    return f"q:{_digest(provider)}:{datetime.now(UTC):%Y-%m-%d}"


def _remaining_key(provider: Provider) -> str:
    return f"q:{_digest(provider)}:remaining"


def _rest_key(provider: Provider) -> str:
    return f"q:{_digest(provider)}:rest"


def _digest(provider: Provider) -> str:
    return blake2b(provider.name.encode(), digest_size=6).hexdigest()
