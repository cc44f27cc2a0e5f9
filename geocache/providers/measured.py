"""Query a provider, and count what it was asked, what failed, and how long that took."""

import asyncio
import time
from collections.abc import Collection
from typing import Final

from geocache import counters
from geocache.location import Location
from geocache.providers.base import Provider
from geocache.providers.parts import put_sound

# Failures that are farther apart do not belong together.
STREAK_SECONDS: Final = 900


def resolve_into(
    provider: Provider, answers: dict[str, Location], addresses: Collection[str]
) -> None:
    """Do what ``Provider.resolve_into`` does. A chain measures each of its providers."""
    if provider.members:
        provider.resolve_into(answers, addresses)
        return
    started = time.perf_counter()
    try:
        provider.resolve_into(answers, addresses)
    finally:
        put_sound(answers, addresses)
        _count(provider.label, answers, addresses, time.perf_counter() - started)


async def aresolve_into(
    provider: Provider, answers: dict[str, Location], addresses: Collection[str]
) -> None:
    """Do what ``resolve_into`` does, in an event loop."""
    if provider.members:
        await provider.aresolve_into(answers, addresses)
        return
    started = time.perf_counter()
    queried = addresses
    try:
        await provider.aresolve_into(answers, addresses)
    except asyncio.CancelledError:
        # The provider has not failed on what the caller stopped to wait for.
        queried = [address for address in addresses if address in answers]
        raise
    finally:
        put_sound(answers, addresses)
        if queried:
            _count(provider.label, answers, queried, time.perf_counter() - started)


def _count(
    label: str, answers: dict[str, Location], addresses: Collection[str], seconds: float
) -> None:
    counters.count((counters.PROVIDER_QUERIES, label), len(addresses))
    counters.observe(counters.PROVIDER_CALLS, label, seconds)
    if failed_count := sum(address not in answers for address in addresses):
        counters.count((counters.PROVIDER_FAILURES, label), failed_count)
    _mark(label, round(time.time()), is_answered=failed_count < len(addresses))


def _mark(label: str, now: int, *, is_answered: bool) -> None:
    """Note when the provider answered, or since when it has not."""
    answered, failed = (counters.PROVIDER_ANSWERED, label), (counters.PROVIDER_FAILED, label)
    since = (counters.PROVIDER_FAILING_SINCE, label)
    if is_answered:
        counters.mark(answered, now)
        return
    has_answered = counters.marked(since) <= counters.marked(answered)
    if has_answered or now - counters.marked(failed) >= STREAK_SECONDS:
        counters.mark(since, now)
    counters.mark(failed, now)
