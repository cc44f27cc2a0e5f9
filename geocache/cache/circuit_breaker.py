"""Circuit breaker: after a slow failure, fail fast for a while."""

import time
from collections.abc import Callable

from geocache import counters
from geocache.exceptions import CacheSilent, GeocacheError


def cache_silent() -> GeocacheError:
    """Return the error of callers while the breaker of the cache is open."""
    return CacheSilent("the cache did not answer a moment ago")


class CircuitBreaker:
    """Spares callers the wait for a service that has just timed out for one of them.

    A failure that took ``slow_seconds`` or longer opens the breaker for ``open_seconds``: callers
    then get the error that ``open_error`` makes. One that came sooner, such as a refused
    connection, costs nothing and does not open it. Openings are counted under ``name``.
    """

    def __init__(
        self,
        *,
        slow_seconds: float,
        open_seconds: float,
        open_error: Callable[[], GeocacheError] = cache_silent,
        name: str = "cache",
    ) -> None:
        self.name = name
        self.slow_seconds = slow_seconds
        self.open_seconds = open_seconds
        self.open_error = open_error
        self.reset()

    def reset(self) -> None:
        """Close the breaker."""
        self._open_until = 0.0

    def guard(self) -> "Guard":
        """Watch one use of the service; raise ``open_error()`` while the breaker is open."""
        started = time.monotonic()
        self.check(started)
        return Guard(self, started)

    def check(self, now: float) -> None:
        """Raise ``open_error()`` while the breaker is open; ``now`` is of ``time.monotonic``."""
        if now < self._open_until:
            raise self.open_error()

    def record_failure(self, started: float) -> None:
        """Open the breaker if a failure just now, of what began at ``started``, was slow."""
        failed = time.monotonic()
        if failed - started < self.slow_seconds:
            return
        # Of callers that waited for one failure together, the first opens it.
        if failed >= self._open_until:
            counters.count((counters.BREAKER_OPENINGS, self.name))
        self._open_until = failed + self.open_seconds
        closes_at = round(time.time() + self.open_seconds)
        counters.mark((counters.BREAKER_OPEN_UNTIL, self.name), closes_at)


class Guard:
    """One use of a service. A class, as ``contextlib`` takes more than twice as long."""

    __slots__ = ("_breaker", "_started")

    def __init__(self, breaker: CircuitBreaker, started: float) -> None:
        self._breaker = breaker
        self._started = started

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, Exception):
            self._breaker.record_failure(self._started)
