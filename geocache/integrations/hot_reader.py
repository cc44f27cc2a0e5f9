"""Read hot entries in a thread of its own, for callers that must not wait for the cache.

The cache may hang. What it answers too late is there for the next caller.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from queue import SimpleQueue
from typing import Final

from django.apps import apps

from geocache import conf, event_loop, under_test
from geocache.location import Location

# How long a caller waits for the thread.
WAIT_SECONDS: Final = 0.002
# After one has waited in vain, none waits for as long; nor is a cache that fails asked meanwhile.
REST_SECONDS: Final = 1.0
# Addresses that may wait for the thread; one more is not asked for.
MOST_WAITING: Final = 1_000
# Of a metered provider an IPv6 address has 54 keys.
BATCH_ADDRESSES: Final = 50
# What is kept: at most so many in each of two generations, for as long as in a process's memory.
MOST_KEPT: Final = 5_000
# What has no hot entry may be looked up at any moment.
MISSED_SECONDS: Final = 5.0

Read = Callable[[Sequence[str]], Mapping[str, Location]]


def read_hot_entries(texts: Sequence[str]) -> Mapping[str, Location]:
    """Return the hot entries of addresses; raise what cache and provider raise."""
    # Models: not before Django is set up.
    from geocache.lookup import hot_entries  # noqa: PLC0415 - as above
    from geocache.lookup.memory import memory  # noqa: PLC0415 - as above
    from geocache.providers import factory  # noqa: PLC0415 - as above

    provider = factory.current()
    # Of the last look-up of this process; where there was none, the provider opens its files.
    build = memory.build or provider.build()
    addresses = {text: ip_address(text) for text in texts}
    return hot_entries.peek(build, addresses, with_networks=provider.is_metered)


class HotReader:
    """What is known of the hot entries, and the thread that reads them, begun when first needed."""

    def __init__(self, read: Read = read_hot_entries) -> None:
        self.read = read
        self.forget()

    def forget(self) -> None:
        """Begin again, as in a child process, which has none of its parent's threads."""
        self.waiting: dict[str, threading.Event] = {}
        self._queue: SimpleQueue[str] = SimpleQueue()
        self.forget_kept()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.is_prompt = True
        self._wait_again_at = 0.0

    def forget_kept(self) -> None:
        """Forget what was read, which was given the time to live of before."""
        self._young: dict[str, tuple[Location | None, float]] = {}
        self._old: dict[str, tuple[Location | None, float]] = {}

    def get(self, text: str) -> Location | None:
        """Return the hot entry of an address, if it is known within ``WAIT_SECONDS``."""
        held = self._held(text)
        if held is not None:
            return held[0]
        # Of the thread are the lines that it causes itself.
        if not apps.ready or threading.current_thread() is self._thread:
            return None
        if under_test.is_this_process():
            # No thread outlives a test, and each time the same is found.
            return self.read([text]).get(text)
        answered = self._ask(text)
        if answered is None or not self._may_wait():
            return None
        if not answered.wait(WAIT_SECONDS):
            self._wait_again_at = time.monotonic() + REST_SECONDS
        held = self._held(text)
        return held[0] if held else None

    def _held(self, text: str) -> tuple[Location | None, float] | None:
        held = self._young.get(text) or self._old.get(text)
        return held if held is not None and held[1] > time.monotonic() else None

    def _ask(self, text: str) -> threading.Event | None:
        """Have the thread read an entry, and return what tells that it has; None: too many are."""
        if event := self.waiting.get(text):
            return event
        if len(self.waiting) >= MOST_WAITING:
            return None
        new = threading.Event()
        event = self.waiting.setdefault(text, new)
        if event is new:
            self._queue.put(text)
            self._start()
        return event

    def _may_wait(self) -> bool:
        is_calm = self.is_prompt and time.monotonic() >= self._wait_again_at
        return is_calm and not event_loop.is_running()

    def _start(self) -> None:
        # Another that holds the lock starts it.
        if self._thread is None and self._lock.acquire(blocking=False):
            try:
                if self._thread is None:
                    # Known before it runs: it may log at once.
                    self._thread = threading.Thread(
                        target=self._run, name="geocache-log", daemon=True
                    )
                    self._thread.start()
            except RuntimeError:
                # No more threads can be had, or the interpreter ends.
                self._thread = None
            finally:
                self._lock.release()

    def _run(self) -> None:
        while True:
            texts = [self._queue.get()]
            while len(texts) < BATCH_ADDRESSES and not self._queue.empty():
                texts.append(self._queue.get())
            if not self.answer(texts):
                time.sleep(REST_SECONDS)

    def answer(self, texts: Sequence[str]) -> bool:
        """Read entries, keep what was found, and tell who waits; False when that failed."""
        started = time.monotonic()
        try:
            found = self.read(texts)
        except Exception:  # noqa: BLE001 - cache, provider, or a set-up that is wrong: said elsewhere
            self.is_prompt, is_read = False, False
        else:
            self.is_prompt, is_read = time.monotonic() - started < WAIT_SECONDS, True
            for text in texts:
                self._keep(text, found.get(text))
        for text in texts:
            if event := self.waiting.pop(text, None):
                event.set()
        return is_read

    def _keep(self, text: str, location: Location | None) -> None:
        # Only the thread does.
        if len(self._young) >= MOST_KEPT:
            self._young, self._old = {}, self._young
        seconds = conf.get("MEMORY_TTL_SECONDS")
        if location is None:
            seconds = min(seconds, MISSED_SECONDS)
        self._young[text] = (location, time.monotonic() + seconds)


reader: Final = HotReader()


def _follow(changed: frozenset[str]) -> None:
    if "MEMORY_TTL_SECONDS" in changed:
        reader.forget_kept()


conf.on_change(_follow)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=reader.forget)
