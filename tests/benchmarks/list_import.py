"""A blocklist: what does it cost to import it, with a look-up of each of its addresses?"""

import tempfile
import uuid

import geoip2.database
from geoip2.errors import AddressNotFoundError

from geocache.blocklists import sources
from geocache.blocklists.apply import import_content
from geocache.journal.flush import flush_dirty
from tests.benchmarks.addresses import database_path, supply
from tests.benchmarks.measure import Answer, Bar, Effort, in_turn, timed

ENTRIES = 120_000
MOST_ROUNDS = 3


def measure(effort: Effort) -> list[Answer]:
    count = effort.scaled(ENTRIES, 2_000)
    taken: list[str] = []

    def import_new() -> float:
        taken[:] = supply.take(count)
        seconds = timed(lambda: _import(taken))
        flush_dirty(time_limit_seconds=600)
        return seconds

    with geoip2.database.Reader(database_path()) as reader:
        figures = in_turn(
            {
                "import, all of them new": import_new,
                "Reader.city() in a loop, of the same": lambda: timed(
                    lambda: [_city(reader, address) for address in taken]
                ),
            },
            min(effort.rounds, MOST_ROUNDS),
        )
    own = next(iter(figures.values()))
    # On the machine on which it took 8 seconds.
    bars = [Bar("import with look-ups", own.values, at_most=3, unit="s")]
    return [Answer(f"A blocklist of {count:,} addresses", list(figures.values()), bars)]


def _import(addresses: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(
            f"{address}\t{number % 9 + 1}\n" for number, address in enumerate(addresses)
        )
        file.flush()
        origin = sources.find_origin(file.name, f"made-up-{uuid.uuid4().hex[:8]}")
        with sources.content_of(origin) as content:
            done = import_content(origin, content)
    assert done.added_count == len(addresses), done


def _city(reader: geoip2.database.Reader, address: str) -> object:
    try:
        return reader.city(address)
    except AddressNotFoundError:
        return None
