"""Answers that neither cache nor database takes, kept in memory until one of them does."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from geocache.journal import segments
from geocache.journal.segments import Name
from geocache.location import Location

# Answers that this process keeps while neither cache nor database takes them.
MAX_ANSWERS: Final = 10_000


class SpillBuffer:
    """What could not be recorded yet, and how many answers had to be given up."""

    def __init__(self) -> None:
        self._answers: deque[Location] = deque()
        self._dropped_count = 0
        self._lock = threading.Lock()

    def take(self) -> tuple[list[Location], int]:
        """Return what is kept and how many were given up, and forget both."""
        with self._lock:
            taken = list(self._answers), self._dropped_count
            self._answers.clear()
            self._dropped_count = 0
            return taken

    def put(self, answers: Sequence[Location], dropped_count: int) -> tuple[int, int]:
        """Keep answers, giving up the oldest; return how many are kept and were given up."""
        with self._lock:
            self._answers.extend(answers)
            surplus = max(len(self._answers) - MAX_ANSWERS, 0)
            for _ in range(surplus):
                self._answers.popleft()
            self._dropped_count += dropped_count + surplus
            return len(self._answers), self._dropped_count


buffer: Final = SpillBuffer()


def count_unrecorded(count: int) -> None:
    """Add to the number of answers that neither cache nor database took, and that are lost."""
    with segments.open_own_journal() as backend:
        segments.raised(backend, Name.UNRECORDED, count, 0)


def unrecorded() -> int:
    """Return how many answers were lost, of the journal that is at hand.

    Neither their cache nor the database took them.
    """
    with segments.open_journal() as backend:
        known = segments.read(backend, [segments.key(Name.UNRECORDED)])
    return segments.number_of(known, Name.UNRECORDED) or 0
