"""One run: start the crew, kill and stop its members for a while, and judge what is left."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management import call_command

from tests.faults import flusher, outcome, writer
from tests.faults.outcome import Verdict
from tests.faults.process_group import FORK, Crew, Member, run_alone

# Between two strikes, at most, in seconds.
STRIKE_SECONDS = 0.5
# How long the processes outlive a harness that was killed.
GRACE_SECONDS = 60
CHILD_SECONDS = 3600


@dataclass(frozen=True)
class Report:
    """What a run has shown."""

    pair: str
    seed: int
    seconds: int
    kills: dict[str, int]
    kill_count: int
    stop_count: int
    crash_count: int
    notes: dict[str, int]
    verdict: Verdict

    def is_good(self) -> bool:
        """Tell whether every answer that was acknowledged is in the table, once, and no more."""
        found = self.verdict
        bad = found.lost, found.outdated, found.duplicated, found.pending, found.left_over
        return found.acknowledged > 0 and not any(bad) and not self.crash_count


def run(pair: str, folder: Path, *, seconds: float, seed: int, is_broken: bool) -> Report:
    """Run the crew on the scratch folder, database and cache of the environment."""
    random.seed(seed)
    in_child(folder, call_command, "migrate", verbosity=0)
    crew = Crew(folder, seed, int(seconds) + GRACE_SECONDS, _members(folder, is_broken=is_broken))
    try:
        _strike_until(crew, time.monotonic() + seconds)
    finally:
        crew.end()
    found = in_child(folder, outcome.judge, folder)
    kills = crew.kills + _killed_at_steps(folder)
    return Report(
        pair=pair,
        seed=seed,
        seconds=int(seconds),
        kills=dict(kills.most_common()),
        kill_count=kills.total(),
        stop_count=crew.stop_count,
        crash_count=crew.crash_count,
        notes=dict(outcome.notes(folder).most_common()),
        verdict=found,
    )


def _members(folder: Path, *, is_broken: bool) -> list[Member]:
    flushers = [
        Member("flusher", flusher.flush_on, ()),
        Member("flusher", flusher.flush_and_die, (folder,)),
        Member("flusher", flusher.flush_at_once, (folder,)),
        Member("flusher", flusher.flush_and_pause, ()),
        Member("scheduler", flusher.schedule_on, ()),
        Member("scheduler", flusher.schedule_on, ()),
    ]
    if is_broken:
        flushers = [Member("flusher", flusher.flush_wrongly, (folder,))]
    return [
        Member("writer", writer.write_on, (folder,)),
        Member("writer", writer.write_and_die, (folder,)),
        Member("writer", writer.write_on_in_two, (folder,)),
        Member("writer", writer.write_through, (folder,)),
        *flushers,
    ]


def _strike_until(crew: Crew, until: float) -> None:
    while time.monotonic() < until:
        crew.keep_up()
        time.sleep(random.uniform(0, STRIKE_SECONDS))
        crew.strike()


def _killed_at_steps(folder: Path) -> Counter[str]:
    path = folder / "killed"
    return Counter(path.read_text().splitlines() if path.exists() else ())


def in_child(folder: Path, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return what ``work`` returns in another process: this one forks, and holds no connection."""
    receiver, sender = FORK.Pipe(duplex=False)

    def answer() -> None:
        sender.send(work(*arguments, **options))

    process = FORK.Process(target=run_alone, args=(folder, "", CHILD_SECONDS, answer))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        log = (folder / "log").read_text(errors="replace")
        raise RuntimeError(f"{work.__name__} has failed: {log[-2000:]}") from None
    finally:
        process.join()
