"""A page of 50 known addresses: what do its notes cost, which are made once a day and process?"""

from collections.abc import Callable

from geocache import notes, store
from geocache.lookup import lookup_many
from tests.benchmarks.measure import Figure, in_turn, timed

PAGE = [f"20.0.0.{n}" for n in range(50)]
PAGES = 200
QUESTION = "A page of 50 known addresses"


def measure(rounds: int, _: int) -> list[Figure]:
    lookup_many(PAGE)
    return in_turn(
        {
            "hot entries, noted today": _each(store.memory.clear),
            "hot entries, to be noted": _each(_begin_a_day),
            "in memory": _each(lambda: None),
        },
        rounds,
    )


def _begin_a_day() -> None:
    store.memory.clear()
    notes.asked.clear()


def _each(prepare: Callable[[], None]) -> Callable[[], float]:
    def page() -> float:
        prepare()
        return timed(lambda: lookup_many(PAGE))

    return lambda: sum(page() for _ in range(PAGES)) / PAGES
