"""The steps of an upgrade and of a roll-back, while visitors ask all the time."""

import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from geocache.models import FlushRun
from tests.faults.harness import in_child
from tests.faults.visitors import Visitors
from tests.support.processes import wait_until
from tests.support.programs import Program, Programs

WORKERS: Final = "--workers=2"
# Answers that each state of a site has to give before the next step: of both releases, if both run.
ANSWERS: Final = 40


@dataclass(frozen=True)
class Release:
    """A release as the report names it, and where its code is."""

    name: str
    code: Path


@dataclass(frozen=True)
class Step:
    """One step, how long it took, and the requests that each release answered meanwhile."""

    name: str
    seconds: float
    requests: dict[str, int]
    error_count: int


@dataclass
class Rollout:
    """A site whose programs are replaced by those of another release, one after another.

    Gunicorn of both is given one socket, as systemd does: a request that comes while there is no
    worker waits for one.
    """

    folder: Path
    programs: Programs
    listener: socket.socket
    visitors: Visitors
    steps: list[Step] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    web: Program | None = None
    scheduler: Program | None = None

    def begin(self, old: Release) -> None:
        """Migrate and start the old release, and let visitors in."""
        self.programs.manage(old.code, "migrate", "--verbosity=0")
        self.web = self.programs.web(old.code, self.listener, WORKERS)
        self.scheduler = self.programs.scheduler(old.code)
        self.visitors.start()
        self._wait_for_answers(old)
        self._wait_for_flush()

    def migrate(self, old: Release, new: Release) -> dict[str, str]:
        """Migrate by the new release while the old one runs; return what its models then lack."""
        with self._step(f"migrate of {new.name} beside {old.name}"):
            self.programs.manage(new.code, "migrate", "--verbosity=0")
        with self._step(f"{old.name} on the tables of {new.name}"):
            said = json.loads(self.programs.run(old.code, "-m", "served_inserts"))
            if problems := {name: text for name, text in said.items() if text}:
                return problems
            self._wait_for_answers(old)
            self._wait_for_flush()
        return {}

    def replace(self, old: Release, new: Release, *, is_killed: bool) -> None:
        """Replace web and scheduler; the old scheduler is killed or ended, with work to be done."""
        with self._step(f"web of {old.name} and of {new.name}"):
            old_web, self.web = self.web, self.programs.web(new.code, self.listener, WORKERS)
            self._wait_for_answers(old, new)
        with self._step(f"web of {old.name} ended by SIGTERM"):
            self._end(old_web)
            self._wait_for_answers(new)
        how = "killed with -9" if is_killed else "ended by SIGTERM"
        with self._step(f"scheduler of {old.name} {how}, that of {new.name} started"):
            # What is answered in between waits for the other release.
            self._end(self.scheduler, is_killed=is_killed)
            self._wait_for_answers(new)
            self.scheduler = self.programs.scheduler(new.code)
            self._wait_for_flush()

    def end(self) -> None:
        """Send visitors away, and end the programs as an operator does."""
        self.visitors.stop()
        for program in (self.web, self.scheduler):
            self._end(program)

    def _end(self, program: Program | None, *, is_killed: bool = False) -> None:
        assert program is not None
        assert program.is_running, f"{program.name} ended by itself: {program.said()[-2000:]}"
        if is_killed:
            self.kills[program.name] += 1
            program.kill()
            return
        code = program.stop()
        assert code == 0, f"{program.name} ended with {code}: {program.said()[-2000:]}"

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        before, errors = self.visitors.requests.copy(), len(self.visitors.errors)
        began = time.monotonic()
        yield
        more = self.visitors.requests - before
        self.steps.append(
            Step(
                name,
                round(time.monotonic() - began, 1),
                dict(more),
                len(self.visitors.errors) - errors,
            )
        )

    def _wait_for_answers(self, *releases: Release) -> None:
        requests = self.visitors.requests
        wanted = {str(one.code): requests[str(one.code)] + ANSWERS for one in releases}

        def are_there() -> bool:
            return all(requests[code] >= count for code, count in wanted.items())

        self._wait_until(are_there, "answers")

    def _wait_for_flush(self) -> None:
        before = in_child(self.folder, flush_count)
        self._wait_until(lambda: in_child(self.folder, flush_count) > before, "flushes")

    def _wait_until(self, is_true: Callable[[], object], what: str) -> None:
        try:
            wait_until(is_true, seconds=60)
        except AssertionError:
            said = [f"{one.name}: {one.said()[-1500:]}" for one in self.programs.started]
            errors = self.visitors.errors[-3:]
            raise AssertionError("\n".join([f"no {what}", *errors, *said])) from None


def flush_count() -> int:
    """Return how many flushes have written answers."""
    return FlushRun.objects.filter(flushed__gt=0).count()


def roll(
    rollout: Rollout, old: Release, new: Release, *, until: float, can_go_back: bool
) -> dict[str, str]:
    """Upgrade; go back and upgrade again until the time is over.

    Return what is wrong with models of the old release on the tables of the new one; an upgrade
    ends there.
    """
    rollout.begin(old)
    problems = rollout.migrate(old, new)
    if not problems:
        rollout.replace(old, new, is_killed=True)
    while can_go_back and not problems:
        rollout.replace(new, old, is_killed=random.random() < 0.5)
        if time.monotonic() > until:
            break
        rollout.replace(old, new, is_killed=random.random() < 0.5)
    rollout.end()
    return problems
