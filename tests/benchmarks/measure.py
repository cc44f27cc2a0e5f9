"""Times and tables; every figure is a ratio against a peer measured in the same run."""

import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import django
from django.db import connection

from geocache import caches


@dataclass(frozen=True, slots=True)
class Figure:
    """Seconds for one unit of work by one way of doing it: median and spread over the rounds."""

    way: str
    seconds: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(ways: dict[str, Callable[[], float]], rounds: int) -> list[Figure]:
    """Measure the ways one after the other, round by round, so that all see the same weather."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for work in ways.values():  # once to warm up
        work()
    for _ in range(rounds):
        for way, work in ways.items():
            seconds[way].append(work())
    return [Figure(way, values) for way, values in seconds.items()]


def as_time(seconds: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.2f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def print_table(question: str, figures: Sequence[Figure]) -> None:
    """Print each way beside the first: how many times as long it takes."""
    print(f"\n{question}")
    first = figures[0].median
    for figure in figures:
        low, high = as_time(min(figure.seconds)), as_time(max(figure.seconds))
        ratio = f"{figure.median / first:8.2f} x"
        print(f"  {figure.way:<44}{as_time(figure.median):>11}{ratio}   ({low} to {high})")


def print_machine() -> None:
    print(
        f"Python {platform.python_version()}, Django {django.get_version()}, "
        f"{connection.vendor}, {type(caches.current()).__name__}, {platform.machine()}"
    )
