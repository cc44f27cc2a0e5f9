"""Add what this process has counted to the counters of the whole site, which are in the cache.

What was counted since the last time is added, every few seconds, at the end of each job and command
and when the process ends. While the cache is away it is kept, and added later. A killed process
loses its last seconds; if the cache counts after a time-out, the same is counted twice.
"""

import atexit
import os
import threading
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from geocache import background, counters, under_test
from geocache.cache import backends
from geocache.cache.guard import guarded
from geocache.counters import Series
from geocache.exceptions import CacheUnavailable
from geocache.models.connection import database_id

SEND_SECONDS: Final = 5.0
# How long the end of a job, a command or a process waits for the cache.
PATIENCE_SECONDS: Final = 1.0
# Keys of these counters begin so, then with the id of the database.
KEYS: Final = "c:"


class Sender:
    """What of the figures of this process the cache has been told."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin again with counters that are empty: in a forked child, whose parent sends its own.

        The lock is new, as another thread of the parent may hold it.
        """
        self._lock = threading.Lock()
        self._sent: dict[Series, int] = {}
        self._sent_marks: dict[Series, int] = {}

    def has_news(self) -> bool:
        """Tell whether something was counted since it was sent."""
        return bool(self._unsent() or counters.marks().items() - self._sent_marks.items())

    def send(self) -> bool:
        """Add what is new to the counters in the cache; False while the cache is away."""
        with self._lock:
            try:
                self._send()
            except CacheUnavailable:
                # What a look-up meets, too, is logged there.
                return False
        return True

    def _send(self) -> None:
        steps = self._unsent()
        marks = dict(counters.marks().items() - self._sent_marks.items())
        if not (steps or marks):
            return
        of_keys = {key(series): series for series in steps}
        with guarded() as backend:
            by_key = {name: steps[series] for name, series in of_keys.items()}
            for done in backends.add_to_counters(backend, by_key) if by_key else ():
                for name in done:
                    series = of_keys[name]
                    self._sent[series] = self._sent.get(series, 0) + steps[series]
            if marks:
                backend.set_many({key(one): value for one, value in marks.items()}, timeout=None)
                self._sent_marks |= marks

    def _unsent(self) -> dict[Series, int]:
        return {
            series: number - self._sent.get(series, 0)
            for series, number in counters.totals().items()
            if number != self._sent.get(series, 0)
        }


of_this_process: Final = Sender()
send: Final = of_this_process.send


def send_within(seconds: float) -> None:
    """Send, but wait no longer than this: a cache that hangs holds up no job and no exit."""
    if of_this_process.has_news():
        background.run_within(seconds, send, name="geocache counters")


def send_at_exit() -> None:
    """Send what is left; what a test run has counted is not the site's."""
    if not under_test.is_this_process():
        send_within(PATIENCE_SECONDS)


def read(wanted: Iterable[Series]) -> dict[Series, int]:
    """Return what all processes have sent, without what there is none of.

    Raises ``CacheUnavailable``.
    """
    names = {key(series): series for series in wanted}
    with guarded(fails_fast=False) as backend:
        found = backend.get_many(names)
    return {names[name]: value for name, value in found.items() if isinstance(value, int)}


def key(series: Series) -> str:
    """Return the cache key of a series; labels may have any letters, and any length."""
    name, *labels = series
    digest = blake2b("\0".join(labels).encode(), digest_size=6).hexdigest() if labels else ""
    return f"{KEYS}{database_id()}:{name}:{digest}"


atexit.register(send_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=of_this_process.reset)
