"""Wait for a service that does not answer once in a while instead of once a caller."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from geocache.exceptions import CacheSilent


class Breaker:
    """Spares callers the wait for a cache that has just let one of them wait in vain.

    A failure that took longer than ``slow_seconds`` is followed by ``rest_seconds`` in which nobody
    tries. One that came at once, such as a refused connection, costs nothing and is not counted.
    """

    def __init__(self, *, slow_seconds: float, rest_seconds: float) -> None:
        self.slow_seconds = slow_seconds
        self.rest_seconds = rest_seconds
        self._rests_until = 0.0

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Judge the cache by what happens inside; raises ``CacheSilent`` while nobody tries."""
        started = time.monotonic()
        if started < self._rests_until:
            raise CacheSilent("the cache did not answer a moment ago")
        try:
            yield
        except Exception:
            failed = time.monotonic()
            if failed - started > self.slow_seconds:
                self._rests_until = failed + self.rest_seconds
            raise
