"""Times, ratios and bars; every figure stands beside a peer measured in the same run."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """What one way of doing it costs, one value a round: seconds, or another unit."""

    way: str
    values: Sequence[float]
    unit: str = "s"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        shown = [as_text(one, self.unit) for one in (self.median, min(self.values))]
        return (
            f"{self.way:<46}{shown[0]:>11}   ({shown[1]} to {as_text(max(self.values), self.unit)})"
        )


@dataclass(frozen=True, slots=True)
class Bar:
    """What is asked for, and what was measured in each round: a ratio, or a difference.

    Without a limit it is a ratio to look at. Less is better, but where a least is asked for.
    """

    asked: str
    values: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool:
        is_high_enough = self.at_least is None or self.median >= self.at_least
        return is_high_enough and (self.at_most is None or self.median <= self.at_most)

    def __str__(self) -> str:
        low, high = (as_text(one, self.unit) for one in (min(self.values), max(self.values)))
        measured = f"{self.asked:<46}{as_text(self.median, self.unit):>11}   ({low} to {high})"
        for word, limit in (("at least", self.at_least), ("at most", self.at_most)):
            if limit is not None:
                verdict = "met" if self.is_met else "MISSED"
                return f"{measured}; {word} {as_text(limit, self.unit)}: {verdict}"
        return measured


@dataclass(frozen=True, slots=True)
class Answer:
    """One question with its figures, and the bars that they are held against."""

    question: str
    figures: Sequence[Figure]
    bars: Sequence[Bar] = field(default=())

    def __str__(self) -> str:
        lines = [f"  {figure}" for figure in self.figures] + [f"  = {bar}" for bar in self.bars]
        return "\n".join([self.question, *lines])

    def to_plain(self) -> dict[str, Any]:
        bars = [asdict(bar) | {"median": bar.median, "is_met": bar.is_met} for bar in self.bars]
        figures = [asdict(figure) | {"median": figure.median} for figure in self.figures]
        return {"question": self.question, "figures": figures, "bars": bars}


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: rounds, rows that are flushed, and rows of a table that has grown.

    ``share`` is the part that is done of all other work; nothing of it is the least that runs.
    """

    rounds: int
    rows: int
    table_rows: int
    share: float = 1

    @property
    def is_quick(self) -> bool:
        return not self.share

    def scaled(self, count: int, quick_count: int) -> int:
        return max(quick_count, round(count * self.share))


QUICK = Effort(rounds=1, rows=1_000, table_rows=5_000, share=0)
# Enough to compare ratios by, in half a minute.
SHORT = Effort(rounds=11, rows=2_000, table_rows=0, share=0.03)


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    started = clock()
    work()
    return clock() - started


def in_turn(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, Figure]:
    """Measure the ways one after the other, round by round, so that all see the same weather."""
    values: dict[str, list[float]] = {way: [] for way in ways}
    for work in ways.values():  # once to warm up
        work()
    for _ in range(rounds):
        for way, work in ways.items():
            values[way].append(work())
    return {way: Figure(way, each) for way, each in values.items()}


def speed(asked: str, own: Figure, peer: Figure, at_least: float | None = None) -> Bar:
    """How many times as fast as the peer, round by round."""
    ratios = [theirs / ours for ours, theirs in zip(own.values, peer.values, strict=True)]
    return Bar(asked, ratios, at_least=at_least)


def cost(asked: str, own: Figure, peer: Figure, at_most: float | None = None) -> Bar:
    """How many times what the peer costs, round by round."""
    ratios = [ours / theirs for ours, theirs in zip(own.values, peer.values, strict=True)]
    return Bar(asked, ratios, at_most=at_most)


def more(asked: str, own: Figure, peer: Figure, at_most: float) -> Bar:
    """How much more than the peer, round by round, in the figures' unit."""
    differences = [ours - theirs for ours, theirs in zip(own.values, peer.values, strict=True)]
    return Bar(asked, differences, at_most=at_most, unit=own.unit)


def as_text(value: float, unit: str) -> str:
    if unit == "s":
        return as_time(value)
    return f"{value:.2f} {unit}" if abs(value) < 10 else f"{value:,.0f} {unit}"


def as_time(seconds: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if abs(seconds) * factor >= 1:
            return f"{seconds * factor:.2f} {unit}"
    return f"{seconds * 1e9:.0f} ns"
