"""A page of 50 known addresses: what do its notes cost, which are made once a day and process?"""

from collections.abc import Callable

from geocache.journal import last_seen
from geocache.lookup import lookup_many
from geocache.lookup.memory import memory
from tests.benchmarks.measure import Answer, Effort, in_turn, timed

PAGE = [f"20.0.0.{n}" for n in range(50)]
PAGES = 200


def measure(effort: Effort) -> list[Answer]:
    lookup_many(PAGE)
    pages = effort.scaled(PAGES, 10)
    figures = in_turn(
        {
            "hot entries, noted today": _each(pages, memory.clear),
            "hot entries, to be noted": _each(pages, _begin_a_day),
            "in memory": _each(pages, lambda: None),
        },
        effort.rounds,
    )
    return [Answer("A page of 50 known addresses", [*figures.values()])]


def _begin_a_day() -> None:
    memory.clear()
    last_seen.tracker.clear()


def _each(pages: int, prepare: Callable[[], None]) -> Callable[[], float]:
    def page() -> float:
        prepare()
        return timed(lambda: lookup_many(PAGE))

    return lambda: sum(page() for _ in range(pages)) / pages
