"""Wait for a service that does not answer once in a while instead of once a caller."""

import time
from collections.abc import Callable

from geocache.exceptions import CacheSilent, GeocacheError


def cache_silent() -> GeocacheError:
    """Return what callers are told while nobody tries the cache."""
    return CacheSilent("the cache did not answer a moment ago")


class Breaker:
    """Spares callers the wait for a service that has just let one of them wait in vain.

    A failure that took ``slow_seconds`` or longer is followed by ``rest_seconds`` in which nobody
    tries: callers get the error that ``spare`` makes. One that came sooner, such as a refused
    connection, costs nothing and is not counted.
    """

    def __init__(
        self,
        *,
        slow_seconds: float,
        rest_seconds: float,
        spare: Callable[[], GeocacheError] = cache_silent,
    ) -> None:
        self.slow_seconds = slow_seconds
        self.rest_seconds = rest_seconds
        self.spare = spare
        self._rests_until = 0.0

    def watch(self) -> "Watch":
        """Judge the service by what happens inside; raises what ``spare`` makes while it rests."""
        started = time.monotonic()
        if started < self._rests_until:
            raise self.spare()
        return Watch(self, started)

    def judge(self, started: float) -> None:
        """Rest if a failure just now, of what began at ``started``, was slow."""
        failed = time.monotonic()
        if failed - started >= self.slow_seconds:
            self._rests_until = failed + self.rest_seconds


class Watch:
    """One use of a service. A class, as ``contextlib`` takes more than twice as long."""

    __slots__ = ("_breaker", "_started")

    def __init__(self, breaker: Breaker, started: float) -> None:
        self._breaker = breaker
        self._started = started

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, Exception):
            self._breaker.judge(self._started)
