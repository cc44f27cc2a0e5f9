"""A page of 50 known addresses: what does it cost beside one ``get_many``, and what do its notes?

Notes are made once a day and process.
"""

from collections.abc import Callable
from statistics import median

from geocache.cache import backends
from geocache.journal import last_seen
from geocache.lookup import hot_entries, lookup_many
from geocache.lookup.memory import memory
from geocache.providers import factory
from tests.benchmarks.measure import Answer, Effort, cost, in_turn, timed

PAGE = [f"20.0.0.{n}" for n in range(50)]
PAGES = 200


def measure(effort: Effort) -> list[Answer]:
    lookup_many(PAGE)
    cache, build = backends.current(), factory.current().build()
    keys = [hot_entries.key(build, address) for address in PAGE]
    assert len(cache.get_many(keys)) == len(PAGE)
    pages = effort.scaled(PAGES, 10)
    figures = in_turn(
        {
            "hot entries, noted today": _each(pages, _look_up, memory.clear),
            "cache.get_many()": _each(pages, lambda: cache.get_many(keys)),
            "hot entries, to be noted": _each(pages, _look_up, _begin_a_day),
            "in memory": _each(pages, _look_up),
        },
        effort.rounds,
    )
    own, peer, *_ = figures.values()
    bars = [cost("of what cache.get_many() costs", own, peer, 1.3)]
    return [Answer("A page of 50 known addresses", [*figures.values()], bars)]


def _look_up() -> None:
    lookup_many(PAGE)


def _begin_a_day() -> None:
    memory.clear()
    last_seen.tracker.clear()


def _each(
    pages: int, work: Callable[[], object], prepare: Callable[[], None] = lambda: None
) -> Callable[[], float]:
    def page() -> float:
        prepare()
        return timed(work)

    # Not the mean: one page that waits for a processor costs as much as ten.
    return lambda: median(page() for _ in range(pages))
