"""Stored ratios: what they are, and when a measured one is worse."""

import json
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks.measure import Bar

SCHEMA = 1
TIMES = 3
# Of the median. Less is not to be held on a machine with another processor, and a ratio with more
# says nothing.
LEAST_SPREAD = 0.25
MOST_SPREAD = 0.5
STORE = "python -m tests.benchmarks.compare --store"

Measured = Mapping[str, Bar]
Measure = Callable[[Collection[str]], Measured]


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of several runs, and how much worse than that a run may be."""

    median: float
    spread: float
    is_more_better: bool

    @property
    def is_held(self) -> bool:
        return self.spread <= self.median * MOST_SPREAD

    def is_worse(self, measured: float) -> bool:
        if not self.is_held:
            return False
        if self.is_more_better:
            return measured < self.median - self.spread
        return measured > self.median + self.spread

    def __str__(self) -> str:
        sign = "-" if self.is_more_better else "+"
        held = "" if self.is_held else ", more than half of it: left out"
        return f"{self.median:.2f} x {sign} {self.spread:.2f}{held}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line on a ratio."""

    name: str
    text: str
    has_failed: bool = False

    def __str__(self) -> str:
        return f"{'FAILED' if self.has_failed else 'holds '} {self.name}: {self.text}"


def compare(
    stored: Mapping[str, Ratio], questions: Collection[str], measure: Measure
) -> list[Finding]:
    """Measure all questions, and again those with a ratio that is worse; say how each has fared."""
    attempts = [measure(questions)]
    worse = _worse(stored, attempts[0])
    while worse and len(attempts) < TIMES:
        attempts.append(measure(sorted({_question(name) for name in worse})))
        worse = [name for name in worse if name in _worse(stored, attempts[-1])]
    findings = [_finding(name, ratio, attempts, name in worse) for name, ratio in stored.items()]
    unknown = [name for name in attempts[0] if name not in stored]
    text = f"measured, but not stored; store it: {STORE}"
    return findings + [Finding(name, text, has_failed=True) for name in unknown]


def summarise(runs: Sequence[Measured]) -> dict[str, Ratio]:
    """Return the median of each ratio, and as its spread twice what its worst run was worse."""
    ratios = {}
    for name, bar in runs[0].items():
        medians = [run[name].median for run in runs]
        middle = statistics.median(medians)
        is_more_better = bar.at_least is not None
        worst = middle - min(medians) if is_more_better else max(medians) - middle
        spread = max(2 * worst, LEAST_SPREAD * middle)
        ratios[name] = Ratio(round(middle, 3), round(spread, 3), is_more_better)
    return ratios


def of_questions(questions: Collection[str], ratios: Mapping[str, Ratio]) -> dict[str, Ratio]:
    return {name: ratio for name, ratio in ratios.items() if _question(name) in questions}


def read(path: Path, pair: str) -> dict[str, Ratio]:
    """Return the stored ratios of a pair of services by name; none where none are stored.

    Raises ``SystemExit`` with what to do about a file that cannot be read.
    """
    try:
        pairs = _pairs(path)
        return {name: Ratio(**ratio) for name, ratio in pairs.get(pair, {}).items()}
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        said = f"{path} cannot be read as ratios; remove it and store new ones: {STORE}"
        raise SystemExit(said) from error


def write(path: Path, pair: str, ratios: Mapping[str, Ratio]) -> None:
    """Store the ratios of a pair of services, and keep those of the others."""
    pairs = _pairs(path) | {pair: {name: asdict(ratio) for name, ratio in ratios.items()}}
    path.write_text(json.dumps({"schema": SCHEMA, "pairs": pairs}, indent=2) + "\n")


def _pairs(path: Path) -> dict[str, dict[str, dict[str, float | bool]]]:
    if not path.exists():
        return {}
    stored = json.loads(path.read_text())
    if stored["schema"] != SCHEMA:
        raise ValueError(f"schema {stored['schema']}")
    pairs: dict[str, dict[str, dict[str, float | bool]]] = stored["pairs"]
    return pairs


def _question(name: str) -> str:
    return name.partition(":")[0]


def _worse(stored: Mapping[str, Ratio], measured: Measured) -> list[str]:
    return [
        name for name, ratio in stored.items()
        if name in measured and ratio.is_worse(measured[name].median)
    ]  # fmt: skip


def _finding(name: str, ratio: Ratio, attempts: list[Measured], is_worse: bool) -> Finding:
    # A question that was asked again for another ratio has measured this one, too.
    medians = [attempt[name].median for attempt in attempts if name in attempt]
    if not medians:
        text = f"stored, but no longer measured; store what is: {STORE}"
        return Finding(name, text, has_failed=True)
    measured = ", ".join(f"{median:.2f}" for median in medians)
    text = f"measured {measured} x, stored {ratio}"
    if is_worse:
        text += f"; find the cause, or accept it: {STORE}"
    return Finding(name, text, is_worse)
