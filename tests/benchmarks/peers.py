"""Other libraries on the same addresses: what does an answer cost, cold and warm?

The list is made by ``visitors``. One that is not installed (``uv sync --group benchmarks``) is left
out, and said to be.
"""

import tempfile
from collections.abc import Callable, Iterable
from functools import partial

from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup, lookup_many
from geocache.lookup.memory import memory
from geocache.providers import factory
from tests.benchmarks.addresses import database_path
from tests.benchmarks.fresh_process import processor_seconds
from tests.benchmarks.measure import Answer, Effort, Figure, in_turn, speed, timed
from tests.benchmarks.peer_readers import READERS, Reader
from tests.benchmarks.visitors import Visitors

REQUESTS = 20_000
ADDRESS = "81.2.69.142"
# As ``manage.py shell`` would: one answer, recorded, of a project that has geocache.
GEOCACHE = "import django; django.setup(); from geocache.lookup import lookup; lookup({!r})"


def measure(effort: Effort) -> list[Answer]:
    readers, left_out = open_readers()
    visitors = Visitors()
    answers = [
        _a_log(effort, readers, visitors, left_out),
        _known(effort, readers, visitors, left_out),
        _cold(effort, list(readers), left_out),
    ]
    flush_dirty(time_limit_seconds=600)
    return answers


def open_readers() -> tuple[dict[str, Reader], str]:
    """Return the readers that are installed, and which are not."""
    readers, left_out = {}, ""
    for way, opened in READERS.items():
        try:
            readers[way] = opened(str(database_path()))
        except ImportError as error:
            left_out += f"; without {error.name}, which is not installed"
    return readers, left_out


def _a_log(effort: Effort, readers: dict[str, Reader], visitors: Visitors, left_out: str) -> Answer:
    """Each round reads on in the log, so that geocache knows no address when it begins."""
    count = effort.scaled(REQUESTS, 200)
    asked: list[str] = []

    def recorded() -> float:
        asked[:] = visitors.requests(count)
        return _each(lookup, asked)

    def recorded_at_once() -> float:
        asked[:] = visitors.requests(count)
        return timed(lambda: lookup_many(asked)) / count

    provider = factory.current()
    ways: dict[str, Callable[[], float]] = {
        "lookup_many(), new ones recorded": recorded_at_once,
        "lookup(), new ones recorded": recorded,
        "the provider alone, not recorded": lambda: _each(provider.resolve, asked),
    }
    ways |= {way: partial(_each, reader, asked) for way, reader in readers.items()}
    figures = in_turn(ways, effort.rounds)
    question = f"Each of {count:,} requests, {len(set(asked)):,} addresses, warm{left_out}"
    return _beside(question, figures, "lookup_many(), new ones recorded", readers)


def _known(effort: Effort, readers: dict[str, Reader], visitors: Visitors, left_out: str) -> Answer:
    addresses = list(dict.fromkeys(visitors.requests(effort.scaled(REQUESTS // 4, 50))))
    lookup_many(addresses)

    def hot() -> float:
        # As in a process that has just been started.
        memory.clear()
        return _each(lookup, addresses)

    ways: dict[str, Callable[[], float]] = {
        "lookup(), hot entry": hot,
        "lookup(), in memory": lambda: _each(lookup, addresses),
    }
    ways |= {way: partial(_each, reader, addresses) for way, reader in readers.items()}
    figures = in_turn(ways, effort.rounds)
    question = f"Each of {len(addresses):,} addresses that are known, warm{left_out}"
    return _beside(question, figures, "lookup(), in memory", readers)


def _cold(effort: Effort, readers: list[str], left_out: str) -> Answer:
    """Measure from the start of Python to the first answer."""
    with tempfile.TemporaryDirectory() as folder:
        database = str(database_path())
        ways = {
            "lookup(), new and recorded": partial(
                processor_seconds, folder, "-c", GEOCACHE.format(ADDRESS), BENCHMARK_APP="geocache"
            ),
            "Python alone": partial(processor_seconds, folder, "-c", "pass"),
        }
        module = ("-m", "tests.benchmarks.peer_readers")
        for way in readers:
            ways[way] = partial(processor_seconds, folder, *module, way, database, ADDRESS)
        figures = in_turn(ways, effort.scaled(effort.rounds, 1))
    question = f"The first answer of a fresh process, processor time{left_out}"
    return Answer(question, list(figures.values()))


def _beside(question: str, figures: dict[str, Figure], own: str, readers: Iterable[str]) -> Answer:
    """Hold one of our ways against each of the peers."""
    bars = [
        speed(f"{own.partition(',')[0]} as fast as {way}", figures[own], figures[way])
        for way in readers
    ]
    return Answer(question, list(figures.values()), bars)


def _each(ask: Reader, addresses: list[str]) -> float:
    def loop() -> None:
        for address in addresses:
            ask(address)

    return timed(loop) / len(addresses)
