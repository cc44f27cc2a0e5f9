"""Read the state within a bounded time, whatever hangs.

Each group of parts is read in a daemon thread of its own, one at a time: a thread that hangs is not
joined by a second one, and what it reads counts when it comes. Under a run of tests all is read in
the caller's thread instead: another thread does not see the transaction of a test.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from django.db import connections

from geocache import under_test
from geocache.instants import utc_now
from geocache.models.connection import DATABASE_ERRORS
from geocache.status import DATABASE, Outcome, Status, read_part, read_status, status_of
from geocache.text import first_line

# A probe is answered within 200 ms: what is left is for the request itself.
DEADLINE_SECONDS: Final = 0.12
# Probes within this time share what was read.
SHARED_SECONDS: Final = 1.0
# A read that has begun within this time is late, not hanging: a machine may be busy for a moment.
# What came last counts until then, unless it is older than a minute.
LATE_SECONDS: Final = 2.0
KEPT_SECONDS: Final = 60.0
Reader = Callable[[str, datetime], Outcome]

# What hangs together is read by one thread, in this order.
GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "provider": ("provider", "edge"),
    "cache": ("cache", "queries"),
    DATABASE: (DATABASE, "flushes", "scheduler", "lists"),
    "journal": ("journal",),
}
# It takes seconds where a million entries are listed: only who can wait reads it.
COUNTED_GROUPS: Final[Mapping[str, Sequence[str]]] = {"bans": ("bans",)}


def read(seconds: float = DEADLINE_SECONDS, *, is_counting_bans: bool = False) -> Status:
    """Return the state after ``seconds`` at the latest; never raises.

    A part that has not answered by then, and whose read is not merely late, has the error "no
    answer within 120 ms" and is one of ``silent_parts``. It never starts a second read of a part
    whose read hangs, and shares what was read within the last second: no number of calls loads the
    site, or takes more threads than there are groups. No connection to a database is left open.
    """
    if under_test.is_this_process():
        return read_status(is_counting_rows=is_counting_bans)
    names = (*GROUPS, *(COUNTED_GROUPS if is_counting_bans else ()))
    return read_groups([_readers[name] for name in names], seconds)


class GroupReader:
    """Reads the parts of one group in a thread of its own, and keeps what came last."""

    def __init__(self, parts: Sequence[str], read: Reader = read_part) -> None:
        self.parts = parts
        self._read = read
        self.forget()

    def forget(self) -> None:
        """Begin afresh, as in a child process: the thread of its parent is not in it."""
        # A new lock: that of the parent may be held.
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._is_busy = False
        self._began = float("-inf")
        self._ended = float("-inf")
        # With the moment at which each came.
        self._outcomes: dict[str, tuple[float, Outcome]] = {}

    def start(self, now: float) -> None:
        """Begin to read, unless another read is under way or has ended within a second."""
        with self._lock:
            if self._is_busy or now - self._ended < SHARED_SECONDS:
                return
            self._is_busy, self._began, self._done = True, now, threading.Event()
        try:
            threading.Thread(target=self._run, name="geocache-health", daemon=True).start()
        except RuntimeError:
            # No thread can be started: the part is silent, and is tried again by the next read.
            self._end()

    def wait(self, seconds: float) -> None:
        """Wait until the read that is under way has ended, but not for longer."""
        self._done.wait(max(seconds, 0))

    def outcomes(self, now: float) -> dict[str, Outcome]:
        """Return what counts at ``now``, by part: of a read that hangs, only what came just now."""
        with self._lock:
            is_late = self._is_busy and now - self._began < LATE_SECONDS
            oldest = now - (KEPT_SECONDS if is_late else SHARED_SECONDS)
            if not self._is_busy and now - self._ended < SHARED_SECONDS:
                # As long as no other read begins, all of this one counts, also its first part.
                oldest = self._began
            return {name: one for name, (came, one) in self._outcomes.items() if came >= oldest}

    def _run(self) -> None:
        try:
            for part in self.parts:
                outcome = self._read_one(part)
                with self._lock:
                    self._outcomes[part] = time.monotonic(), outcome
                if part == DATABASE and outcome.error:
                    # The other parts would wait for the same database.
                    break
        finally:
            self._end()
            with suppress(*DATABASE_ERRORS):
                connections.close_all()

    def _read_one(self, part: str) -> Outcome:
        try:
            return self._read(part, utc_now())
        except Exception as error:  # noqa: BLE001 - in a thread nothing else would tell of it
            return Outcome(error=first_line(error))

    def _end(self) -> None:
        with self._lock:
            self._is_busy, self._ended = False, time.monotonic()
            self._done.set()


def read_groups(readers: Sequence[GroupReader], seconds: float) -> Status:
    """Return what several readers have after ``seconds`` at the latest."""
    started = time.monotonic()
    for reader in readers:
        reader.start(started)
    outcomes: dict[str, Outcome] = {}
    for reader in readers:
        reader.wait(started + seconds - time.monotonic())
        outcomes |= reader.outcomes(started)
    parts = {part for reader in readers for part in reader.parts}
    silent = parts - outcomes.keys()
    if DATABASE in outcomes and outcomes[DATABASE].error:
        # Not read, or only to fail for the same reason.
        stored = {*GROUPS[DATABASE], *GROUPS["journal"], *COUNTED_GROUPS["bans"]} - {DATABASE}
        silent -= stored
        outcomes = {part: one for part, one in outcomes.items() if part not in stored}
    waited = f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
    said = Outcome(error=f"no answer within {waited}")
    return status_of(outcomes | dict.fromkeys(sorted(silent), said), silent)


_readers: Final = {name: GroupReader(parts) for name, parts in {**GROUPS, **COUNTED_GROUPS}.items()}

for _reader in _readers.values():
    os.register_at_fork(after_in_child=_reader.forget)
