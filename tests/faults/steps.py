"""Steps of the write path at which a process kills itself, or pauses while the others overtake."""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from geocache.journal import flush, reader, segments, writer
from geocache.models import GeoCacheQuerySet


@dataclass(frozen=True)
class Step:
    """The moment before or after a function of the app is called."""

    owner: Any
    name: str
    is_before: bool = False


FLUSHER_STEPS = {
    "before the seal": Step(reader, "close_some", is_before=True),
    "read, not sealed": Step(segments, "read"),
    "sealed": Step(reader, "close_some"),
    "upserted": Step(GeoCacheQuerySet, "upsert"),
    "committed": Step(reader, "forget", is_before=True),
    "deleted": Step(reader, "forget"),
}
WRITER_STEPS = {
    "ticket taken": Step(segments, "next_ticket"),
    "journaled": Step(writer, "append"),
}
STEPS = FLUSHER_STEPS | WRITER_STEPS


def kill_at(name: str, passes: int, folder: Path) -> None:
    """Have this process kill itself when it comes to a step for the ``passes``-th time."""

    def kill() -> None:
        with (folder / "killed").open("a") as file:
            file.write(f"{name}\n")
        os.kill(os.getpid(), signal.SIGKILL)

    _at(name, kill, lambda number: number == passes)


def pause_at(name: str, passes: int, seconds: float) -> None:
    """Have a thread pause every ``passes``-th time that it comes to a step."""
    _at(name, lambda: time.sleep(random.uniform(0, seconds)), lambda number: number % passes == 0)


def _at(name: str, act: Callable[[], None], is_due: Callable[[int], bool]) -> None:
    step = STEPS[name]
    original, numbers = getattr(step.owner, step.name), count(1)

    def instead(*args: Any, **kwargs: Any) -> Any:
        is_now = is_due(next(numbers))
        if is_now and step.is_before:
            act()
        result = original(*args, **kwargs)
        if is_now and not step.is_before:
            act()
        return result

    setattr(step.owner, step.name, instead)


def delete_before_commit() -> None:
    """Break the flush of this process, to prove that a loss is seen."""
    original = flush.Batch.take

    def take(self: flush.Batch, segment: reader.ClosedSegment) -> None:
        original(self, segment)
        reader.forget(segment.records)

    flush.Batch.take = take
