"""The processes of a run: started, stopped, killed at random, and started again."""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

# Forked: a new process costs milliseconds, so that many can be killed.
FORK = multiprocessing.get_context("fork")
# The processes of the forked writers that have outlived their parents, at most.
ORPHANS = 4


@dataclass
class Member:
    """One place in the crew, and the process that has it now."""

    role: str
    work: Callable[..., None]
    arguments: tuple[Any, ...]
    process: BaseProcess | None = None


@dataclass
class Crew:
    """All processes of a run; what happened to them is counted by role."""

    folder: Path
    seed: int
    seconds: int
    members: list[Member]
    kills: Counter[str] = field(default_factory=Counter)
    stop_count: int = 0
    crash_count: int = 0
    start_count: int = 0
    leaders: set[int] = field(default_factory=set)
    stopped_until: dict[int, float] = field(default_factory=dict)

    def keep_up(self) -> None:
        """Start again who has ended, and let go on who was stopped for long enough."""
        for member in self.members:
            if member.process is None or not member.process.is_alive():
                self._bury(member)
                self._start(member)
        for pid, until in list(self.stopped_until.items()):
            if until < time.monotonic():
                del self.stopped_until[pid]
                _signal(pid, signal.SIGCONT)

    def strike(self) -> None:
        """Kill or stop one process."""
        forked = self.forked()
        running = {member.process.pid: member.role for member in self.members if member.process}
        victims = running | dict.fromkeys(forked, "forked writer")
        pid = random.choice(forked if len(forked) > ORPHANS else list(victims))
        if random.random() < 0.3:
            self.stopped_until[pid] = time.monotonic() + random.uniform(0.1, 4)
            self.stop_count += 1
            _signal(pid, signal.SIGSTOP)
            return
        self.kills[victims[pid]] += 1
        self._kill(pid)

    def forked(self) -> list[int]:
        """Return the processes that the forking writers have started, and that still run."""
        pids = [int(path.name.partition("-")[2]) for path in self.folder.glob("forked-*")]
        return sorted(pid for pid in pids if _group(pid) in self.leaders)

    def end(self) -> None:
        """Kill everybody, also who was forked a moment ago and is not listed yet."""
        for member in self.members:
            if member.process is not None:
                _signal_group(member.process.pid, signal.SIGKILL)
            self._bury(member)
        for pid in self.forked():
            self._kill(pid)

    def _start(self, member: Member) -> None:
        self.start_count += 1
        seed = f"{self.seed} {self.start_count}"
        member.process = FORK.Process(
            target=run_alone, args=(self.folder, seed, self.seconds, member.work, *member.arguments)
        )
        member.process.start()
        self.leaders.add(member.process.pid)

    def _bury(self, member: Member) -> None:
        process = member.process
        if process is None:
            return
        process.join(0)
        if process.exitcode is None:
            process.kill()
        elif process.exitcode != -signal.SIGKILL:
            self.crash_count += 1
        process.join()
        process.close()
        member.process = None

    def _kill(self, pid: int) -> None:
        (self.folder / f"forked-{pid}").unlink(missing_ok=True)
        _signal(pid, signal.SIGKILL)


def run_alone(
    folder: Path, seed: str, seconds: int, work: Callable[..., None], *arguments: Any
) -> None:
    """Work in a process group of its own, its output in the log of the run."""
    os.setsid()
    # Should the harness itself be killed, nobody else ends this process.
    signal.alarm(seconds)
    log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    random.seed(seed)
    say = threading.excepthook

    def end(failure: threading.ExceptHookArgs) -> None:
        say(failure)
        os._exit(1)

    # A thread that fails would leave its process looking well.
    threading.excepthook = end
    work(*arguments)


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _signal_group(pid: int, number: int) -> None:
    # A process that has just been started is not yet a group of its own.
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
