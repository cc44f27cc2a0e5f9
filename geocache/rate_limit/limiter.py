"""How many addresses one may ask for: the library ``limits``, counting in the geocache cache."""

import math
import time
from collections import Counter
from typing import Final

from django.core.exceptions import ImproperlyConfigured

from geocache import conf, extras
from geocache.cache import backends
from geocache.cache.guard import guarded
from geocache.exceptions import CacheUnavailable, RateExceeded
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle

with extras.needed("pages"):
    from limits import RateLimitItem, parse_many
    from limits.storage import Storage
    from limits.strategies import FixedWindowRateLimiter

log = get_logger(__name__)

KEY_PREFIX: Final = "rate"
# How many counters a process keeps while the cache is down; beyond, it begins again.
MAX_PROCESS_COUNTERS: Final = 10_000
# What each cache can count, and how long it is asked to keep a counter.
MAX_AMOUNT: Final = 10**12
MAX_SECONDS: Final = 366 * 86_400

cache_down = LogThrottle(seconds=60)


class CacheStorage(Storage):
    """Counters in the Django cache: one for each period, and periods begin for all at once."""

    STORAGE_SCHEME = None

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds

    @property
    def base_exceptions(self) -> type[Exception]:
        return Exception

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        # Longer than its period: it must not run out between the two commands.
        backends.current().add(self._key(key), 0, timeout=2 * expiry)
        return backends.incr(backends.current(), self._key(key), amount)

    def get(self, key: str) -> int:
        count: int = backends.current().get(self._key(key), 0)
        return count

    def get_expiry(self, key: str) -> float:  # noqa: ARG002 - the same for all
        return (self._period() + 1) * self.seconds

    def check(self) -> bool:
        return True

    def reset(self) -> None:
        raise NotImplementedError("the cache holds more than counters")

    def clear(self, key: str) -> None:
        backends.current().delete(self._key(key))

    def _key(self, key: str) -> str:
        return f"{KEY_PREFIX}:{key}:{self._period()}"

    def _period(self) -> int:
        return int(time.time()) // self.seconds


class ProcessStorage(CacheStorage):
    """The same counters in the memory of this process, for while the cache is down.

    Not the library's own: its timer is a thread for each counter of a process that has to end.
    """

    counts: Final[Counter[str]] = Counter()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:  # noqa: ARG002 - the library's
        if len(self.counts) > MAX_PROCESS_COUNTERS:
            self.counts.clear()
        self.counts[self._key(key)] += amount
        return self.counts[self._key(key)]

    def get(self, key: str) -> int:
        return self.counts[self._key(key)]

    def clear(self, key: str) -> None:
        self.counts.pop(self._key(key), None)


def limits_of(setting: str) -> list[RateLimitItem]:
    """Return the limits that ``setting`` names; raise ``ImproperlyConfigured``."""
    configured = conf.get(setting)
    try:
        return parse_rate(configured)
    except ValueError as error:
        raise ImproperlyConfigured(f'GEOCACHE["{setting}"] is {configured!r}: {error}.') from error


def parse_rate(rate: str | None) -> list[RateLimitItem]:
    """Return the limits that ``rate`` names, none for None; raise ``ValueError``."""
    if not rate:
        return []
    try:
        items = parse_many(rate)
    except (TypeError, ValueError) as error:
        raise ValueError("it cannot be read") from error
    if not all(1 <= item.amount <= MAX_AMOUNT and item.multiples >= 1 for item in items):
        raise ValueError(f"a count has to be from 1 to {MAX_AMOUNT:,}")
    if not all(item.get_expiry() <= MAX_SECONDS for item in items):
        raise ValueError("a period may be a year at most")
    return items


def spend(setting: str, asker: str, cost: int = 1, *, spent: int = 0) -> None:
    """Count ``cost`` for ``asker`` if each limit of ``setting`` allows it.

    ``spent`` is what was counted for the same request before. Raises ``RateExceeded``; then nothing
    of ``cost`` counts. While the cache is down, or its circuit
    breaker is open, each process counts by itself.
    """
    items = limits_of(setting)
    for number, item in enumerate(items):
        if not _hit(item, asker, cost):
            for earlier in items[:number]:
                _count(earlier, asker, -cost)
            is_never = spent + cost > item.amount
            raise RateExceeded(item.amount, 0 if is_never else _seconds_left(item))


def _hit(item: RateLimitItem, asker: str, cost: int) -> bool:
    if _count(item, asker, cost):
        return True
    _count(item, asker, -cost)
    return False


def _count(item: RateLimitItem, asker: str, cost: int) -> bool:
    """Count, and tell whether the limit allows it."""
    seconds = item.get_expiry()
    try:
        with guarded():
            return FixedWindowRateLimiter(CacheStorage(seconds)).hit(item, asker, cost=cost)
    except CacheUnavailable as error:
        if cache_down.is_due():
            log.error("geo_rate_unavailable", error=str(error))
        return FixedWindowRateLimiter(ProcessStorage(seconds)).hit(item, asker, cost=cost)


def _seconds_left(item: RateLimitItem) -> int:
    seconds = item.get_expiry()
    return max(1, math.ceil(seconds - time.time() % seconds))
