"""A known address in another process: what does the answer cost beside one ``cache.get``?"""

from geocache.cache import backends
from geocache.lookup import hot_entries, lookup, lookup_many
from geocache.lookup.memory import memory
from geocache.providers import factory
from tests.benchmarks.addresses import supply
from tests.benchmarks.by_services import by_cache
from tests.benchmarks.measure import Answer, Effort, cost, in_turn, timed


def measure(effort: Effort) -> list[Answer]:
    addresses = supply.take(effort.scaled(200, 50))
    lookup_many(addresses)
    keys = [hot_entries.key(factory.current().build(), address) for address in addresses]
    cache = backends.current()

    def ask() -> None:
        for address in addresses:
            lookup(address)

    def get() -> None:
        for key in keys:
            assert cache.get(key)

    def hot() -> float:
        # As in a process that has just been started.
        memory.clear()
        return timed(ask) / len(addresses)

    figures = in_turn(
        {"geocache lookup()": hot, "cache.get()": lambda: timed(get) / len(keys)},
        effort.scaled(40 * effort.rounds, 1),
    )
    own, peer = figures.values()
    bars = [cost("of what cache.get() costs", own, peer, by_cache(1.5, 1.1))]
    return [Answer("A known address, other process (hot entry)", [own, peer], bars)]
