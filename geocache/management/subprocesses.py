"""Processes that live as long as a command does, and the signals that end it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

# Ctrl-C, an orderly end, and a terminal window that is closed.
STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A child that has not ended by then is killed; a scheduler that is killed loses nothing.
GRACE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.1

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def stopping_signals(handler: Handler) -> Iterator[None]:
    """Let ``handler`` have the signals that ask this process to end."""
    before = {number: signal.signal(number, handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


class Children:
    """Management commands in processes of their own."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.stop_count = 0

    def ask_to_stop(self, *_: object) -> None:
        """Count a request to stop; the second one is out of patience. A signal handler."""
        self.stop_count += 1

    def start(self, name: str, arguments: Sequence[str], **variables: str) -> None:
        """Start ``manage.py`` with ``arguments``, as this process was started.

        ``variables`` are added to the environment.
        """
        self.processes[name] = subprocess.Popen(  # noqa: S603 - our own command line
            # The checks have been said once, when this process began.
            [sys.executable, sys.argv[0], *arguments, "--skip-checks"],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # Ctrl-C goes to all processes of a terminal: who ends when is decided here alone.
            start_new_session=True,
        )

    def wait_until(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """Wait for something that a child does; False when it took too long or all is to end."""
        deadline = time.monotonic() + seconds
        while not (self.stop_count or self.ended() or time.monotonic() > deadline):
            if is_done():
                return True
            time.sleep(POLL_SECONDS)
        return False

    def ended(self) -> str:
        """Return which child has ended by itself and how, or the empty text."""
        for name, process in self.processes.items():
            if (code := process.poll()) is not None:
                return f"{name} has ended by itself, with exit code {code}"
        return ""

    def end(self) -> None:
        """Ask all to end and wait for them; kill those that take too long."""
        asked_count = self.stop_count
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while any(process.poll() is None for process in self.processes.values()):
            if self.stop_count > asked_count or time.monotonic() > deadline:
                self._kill()
            time.sleep(POLL_SECONDS)

    def _kill(self) -> None:
        for process in self.processes.values():
            process.kill()
