"""What happens in this process, counted: a few tens of nanoseconds each, without a lock.

A series is a name and its labels. Each thread adds to figures of its own, so that none is lost
between two of them. The figures of a process only grow: what was sent to the cache is remembered by
``geocache.site_counters``, and nothing is taken away here. A forked child begins with none.
"""

import os
import threading
from bisect import bisect_left
from collections import defaultdict
from typing import Final
from weakref import ref

Series = tuple[str, ...]

# Look-ups that memory did not answer, by what did. That costs as much as the whole of a look-up
# that memory answers: those are not counted.
LOOKUPS: Final = "lookups"
TIERS: Final = (
    "hot_entry",
    "row",
    "network",
    "shared",
    "provider",
    "old_row",
    "unavailable",
    "special",
)
(
    HOT_ENTRY,
    ROW,
    NETWORK,
    SHARED,
    PROVIDER,
    OLD_ROW,
    UNAVAILABLE,
    SPECIAL,
) = ((LOOKUPS, tier) for tier in TIERS)

# With the label of a provider: addresses that it was asked about, and those it did not answer.
PROVIDER_QUERIES: Final = "provider_queries"
PROVIDER_FAILURES: Final = "provider_failures"
PROVIDER_CALLS: Final = "provider_calls"
# Unix times: when it last answered, when a query last failed altogether, and the first of these.
PROVIDER_ANSWERED: Final = "provider_answered"
PROVIDER_FAILED: Final = "provider_failed"
PROVIDER_FAILING_SINCE: Final = "provider_failing_since"
# With the name of a circuit breaker; the second is when it closes, a Unix time.
BREAKER_OPENINGS: Final = "circuit_breaker_openings"
BREAKER_OPEN_UNTIL: Final = "circuit_breaker_open_until"

FLUSHES: Final = "flushes"
FLUSH_RESULTS: Final = ("done", "timed_out", "failed")
FLUSH_MICROSECONDS: Final[Series] = ("flush_microseconds",)
FLUSHED_ROWS: Final[Series] = ("flushed_rows",)
REJECTED: Final[Series] = ("rejected",)
LOST: Final[Series] = ("lost",)
SPILLED: Final[Series] = ("spilled",)
WRITTEN_THROUGH: Final[Series] = ("written_through",)

# With the id of a job, the first also with the status of the run; the last is a Unix time.
JOB_RUNS: Final = "job_runs"
JOB_MICROSECONDS: Final = "job_microseconds"
JOB_SUCCESS: Final = "job_success"

# Upper bounds of the buckets of durations, in seconds: a database file, a service, a time-out.
BUCKETS: Final = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BUCKET: Final = "bucket"
MICROSECONDS: Final = "microseconds"


class _Mine(threading.local):
    """The figures of this thread."""

    def __init__(self) -> None:
        self.figures: defaultdict[Series, int] = defaultdict(int)
        # It goes with the thread, whatever has started that.
        self.token = _Token()
        with _lock:
            _threads.append((ref(self.token), self.figures))


class _Token:
    """An object that can be referred to weakly."""


_lock = threading.Lock()
_threads: Final[list[tuple[ref[_Token], dict[Series, int]]]] = []
# Of threads that have ended.
_ended: Final[defaultdict[Series, int]] = defaultdict(int)
_marks: Final[dict[Series, int]] = {}
_mine: Final = _Mine()


def count(series: Series, number: int = 1) -> None:
    """Add to a series."""
    _mine.figures[series] += number


def observe(name: str, label: str, seconds: float) -> None:
    """Add a duration to a histogram: to one bucket, and to the sum in microseconds."""
    figures = _mine.figures
    figures[name, label, BUCKET, str(bisect_left(BUCKETS, seconds))] += 1
    figures[name, label, MICROSECONDS] += int(seconds * 1e6)


def mark(series: Series, value: int) -> None:
    """Note the newest value of what does not add up, such as a moment."""
    _marks[series] = value


def totals() -> dict[Series, int]:
    """Return what was counted in this process since it began, or was forked."""
    with _lock:
        living = []
        for token, figures in _threads:
            if token() is None:
                _add(_ended, figures)
            else:
                living.append((token, figures))
        _threads[:] = living
        found = _ended.copy()
        for _, figures in living:
            # A copy is made in one step; its thread goes on counting.
            _add(found, figures.copy())
    return dict(found)


def marked(series: Series) -> int:
    """Return the newest value that was noted in this process, 0 if none was."""
    return _marks.get(series, 0)


def marks() -> dict[Series, int]:
    """Return the newest values that were noted in this process."""
    return _marks.copy()


def thread_count() -> int:
    """Return how many threads have figures of their own."""
    return len(_threads)


def reset() -> None:
    """Forget everything, as in a forked child: its parent sends what was counted before."""
    global _lock  # noqa: PLW0603 - another thread of the parent may hold it
    _lock = threading.Lock()
    for _, figures in _threads:
        figures.clear()
    _ended.clear()
    _marks.clear()


def _add(found: dict[Series, int], figures: dict[Series, int]) -> None:
    for series, number in figures.items():
        found[series] += number


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=reset)
