"""What a process does every few seconds beside its requests, in one thread of its own.

The thread starts with the first request, or the first look-up that memory cannot answer: never by
an import, and never in a test run. A forked child starts its own.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django.db import connections

from geocache import under_test
from geocache.log import get_logger, load_structlog
from geocache.log_throttle import LogThrottle
from geocache.text import first_line

log = get_logger(__name__)

# How often the thread looks what is due. No task can run more often.
TICK_SECONDS: Final = 1.0
FAILURE_LOG_SECONDS: Final = 60.0


@dataclass(slots=True)
class Task:
    """A function that is called again ``seconds`` after it has returned."""

    function: Callable[[], object]
    seconds: float
    due_at: float = 0.0


class Background:
    """The tasks of this process, and the thread that runs them."""

    def __init__(self) -> None:
        self.is_running = False
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()
        self._failures = LogThrottle(seconds=FAILURE_LOG_SECONDS)

    def every(self, name: str, function: Callable[[], object], seconds: float) -> None:
        """Have ``function`` called every ``seconds``. A second call under one name replaces it."""
        self._tasks[name] = Task(function, seconds)

    def start(self, **_: object) -> None:
        """Start the thread unless it runs: a receiver of signals, too. Costs nothing once it does.

        Without tasks, and in a test run, there is none.
        """
        if self.is_running or not self._tasks or under_test.is_this_process():
            return
        with self._lock:
            if self.is_running:
                return
            self.is_running = True
        threading.Thread(target=self._run, name="geocache background", daemon=True).start()

    def run_due(self, now: float) -> None:
        """Call what is due at ``now``, in seconds of ``time.monotonic``; log what fails."""
        for name, task in list(self._tasks.items()):
            if now < task.due_at:
                continue
            try:
                try:
                    task.function()
                finally:
                    # A connection for each process, used for a moment: not kept open in between.
                    connections.close_all()
            except Exception as error:  # noqa: BLE001 - the others, and the next time, must not end with it
                if self._failures.is_due():
                    log.warning("geo_background_task_failed", task=name, error=first_line(error))
            task.due_at = time.monotonic() + task.seconds

    def after_fork(self) -> None:
        """Begin again in a forked child, which has no thread and may have a lock that is held."""
        self.is_running = False
        self._lock = threading.Lock()

    def _run(self) -> None:
        while True:
            self.run_due(time.monotonic())
            time.sleep(TICK_SECONDS)
            # A command has ended by now. What cannot be loaded yet is tried again.
            with suppress(ImportError, OSError):
                load_structlog()


def run_within(seconds: float, function: Callable[[], object], *, name: str) -> None:
    """Call ``function`` in a thread, but wait no longer than this: what it asks may hang."""
    thread = threading.Thread(target=function, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        # No more threads can be had; Python 3.12.0 and 3.12.1 start none while a process ends.
        function()
    else:
        thread.join(seconds)


of_this_process: Final = Background()
every: Final = of_this_process.every
start: Final = of_this_process.start

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=of_this_process.after_fork)
