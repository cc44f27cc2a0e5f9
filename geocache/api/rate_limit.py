"""How often somebody may ask: the library ``limits``, counting in the cache of the answers."""

import math
import time
from typing import Final

import structlog
from django.core.exceptions import ImproperlyConfigured
from limits import RateLimitItem, parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from geocache import conf
from geocache.cache import backends
from geocache.cache.guard import guarded
from geocache.exceptions import CacheUnavailable
from geocache.log_throttle import LogThrottle

log = structlog.get_logger(__name__)

KEY_PREFIX: Final = "rate"

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
        return backends.current().incr(self._key(key), amount)

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


def rate() -> RateLimitItem | None:
    """Return what ``API_RATE`` says; raise ``ImproperlyConfigured``."""
    configured = conf.get("API_RATE")
    if not configured:
        return None
    try:
        return parse(configured)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f'GEOCACHE["API_RATE"] is {configured!r}.') from error


def seconds_to_wait(asker: str) -> int:
    """Count a question of ``asker``; return 0, or after how many seconds to ask again."""
    limit = rate()
    if limit is None:
        return 0
    limiter = FixedWindowRateLimiter(CacheStorage(limit.get_expiry()))
    try:
        with guarded(fails_fast=False):
            if limiter.hit(limit, asker):
                return 0
            ends_at = limiter.get_window_stats(limit, asker).reset_time
    except CacheUnavailable as error:
        # Without its cache the API still answers, as the pages do.
        if cache_down.is_due():
            log.error("geo_api_rate_unavailable", error=str(error))
        return 0
    return max(1, math.ceil(ends_at - time.time()))
