"""Groups of hosts, each with a Redis of its own, that fill one table: all in this process."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from geocache.journal import writer
from geocache.lookup.memory import memory
from tests.support.cache_set_ups import djangos
from tests.support.redis_process import RedisServer, running

GROUPS = ("group_a", "group_b")


@contextmanager
def two_groups(folder: Path, settings: Any) -> Iterator[dict[str, RedisServer]]:
    """Start a server for each group, and name both in ``CACHES``."""
    servers = {}
    with ExitStack() as stack:
        for name in GROUPS:
            (folder / name).mkdir()
            servers[name] = stack.enter_context(running(RedisServer(folder / name)))
        entries = {name: djangos(server.url) for name, server in servers.items()}
        settings.CACHES = {**settings.CACHES, **entries}
        yield servers


def be_host(settings: Any, alias: str, aliases: tuple[str, ...] = ()) -> None:
    """Go on as a host that journals in ``alias`` and flushes ``aliases``, just started."""
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "CACHE_ALIAS": alias,
        "CACHE_ALIASES": list(aliases),
    }
    writer.process_writer.reset()
    memory.clear()
