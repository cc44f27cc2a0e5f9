"""Many look-ups at once in an event loop, of a service that takes a second for each answer."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from asgiref.sync import sync_to_async
from django.db import connections
from django.db.backends.signals import connection_created
from django.test import override_settings

from geocache import async_pool, conf
from geocache.journal.flush import flush_dirty
from geocache.lookup import alookup
from geocache.models import GeoCache
from tests.benchmarks.addresses import supply
from tests.benchmarks.measure import Answer, Bar, Effort, Figure, cost

AT_ONCE, MANY = 200, 1_000
SECONDS = 1.0
# How long other calls are watched, and how far they are apart: those of one busy page.
WATCHED_SECONDS = 2.0
PAUSE_SECONDS = 0.002


def measure(effort: Effort) -> list[Answer]:
    with slow_service(SECONDS) as port, override_settings(GEOCACHE=asking(port)):
        count = effort.scaled(AT_ONCE, 50)
        asyncio.run(_all(count))  # to warm up
        rounds = [asyncio.run(_round(count, port)) for _ in range(effort.rounds)]
        answers = [_latency(count, rounds), _bounds(effort.scaled(MANY, 100))]
    flush_dirty(time_limit_seconds=600)
    return answers


@contextmanager
def slow_service(seconds: float) -> Iterator[int]:
    """Run the service in a process of its own, and give its port."""
    command = [sys.executable, "-m", "tests.benchmarks.slow_service", str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        try:
            yield int(service.stdout.readline())
        finally:
            service.terminate()


def asking(port: int) -> dict[str, Any]:
    """Return ``GEOCACHE`` with the service as its provider."""
    provider = {
        "BACKEND": "geocache.providers.http.json_service.HttpJsonProvider",
        "OPTIONS": {
            "name": "slow service",
            "url": f"http://127.0.0.1:{port}/{{address}}",
            "fields": {"country_code": "country", "city": "city"},
        },
    }
    return {**conf.overridden(), "VAR_DIR": conf.var_dir(), "PROVIDER": provider}


async def _all(count: int) -> float:
    """Return the seconds until all of ``count`` new addresses are answered."""
    addresses = supply.take(count)
    started = time.perf_counter()
    located = await asyncio.gather(*map(alookup, addresses))
    assert all(one.city == "Wellington" for one in located)
    return time.perf_counter() - started


async def _plain(count: int, port: int) -> float:
    """Return the seconds until as many requests of plain aiohttp are answered."""
    started = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(number: int) -> Any:
            async with session.get(f"http://127.0.0.1:{port}/{number}") as response:
                return await response.json()

        answers = await asyncio.gather(*map(ask, range(count)))
    assert all(one["city"] == "Wellington" for one in answers)
    return time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class Round:
    """The seconds for all, and the p99 of other calls: alone, beside aiohttp, beside look-ups."""

    plain: float
    located: float
    alone: float
    beside_plain: float
    beside_located: float


async def _round(count: int, port: int) -> Round:
    alone = await _watched()
    plain, beside_plain = await _beside(_plain(count, port))
    located, beside_located = await _beside(_all(count))
    await sync_to_async(connections.close_all)()
    return Round(plain, located, alone, beside_plain, beside_located)


async def _beside(work: Coroutine[Any, Any, float]) -> tuple[float, float]:
    """Return the seconds that ``work`` takes, and the p99 of other calls meanwhile."""
    watching = asyncio.create_task(_watched())
    seconds = await work
    return seconds, await watching


async def _watched() -> float:
    """Return the p99 of other calls of Django's ORM in this event loop, in seconds."""
    times = []
    until = time.perf_counter() + WATCHED_SECONDS
    while (started := time.perf_counter()) < until:
        await GeoCache.objects.filter(address="192.0.2.1").aexists()
        times.append(time.perf_counter() - started)
        await asyncio.sleep(PAUSE_SECONDS)
    return sorted(times)[int(len(times) * 0.99)]


def _latency(count: int, rounds: list[Round]) -> Answer:
    located = [one.located for one in rounds]
    plain = Figure("plain aiohttp, as many requests", [one.plain for one in rounds])
    alone = Figure("p99 of other ORM calls, alone", [one.alone for one in rounds])
    beside = Figure("p99 of them beside plain aiohttp", [one.beside_plain for one in rounds])
    together = Figure("p99 of them beside alookup()", [one.beside_located for one in rounds])
    return Answer(
        f"{count} addresses at once from a service that takes {SECONDS:g} s",
        [Figure("geocache alookup(), all of them", located), plain, alone, beside, together],
        [
            Bar("until the last is answered", located, at_most=1.3, unit="s"),
            cost("of the p99 without look-ups", together, alone, 1.1),
            cost("of the p99 beside plain aiohttp", together, beside),
        ],
    )


def _bounds(count: int) -> Answer:
    """Count the threads and connections that so many take."""
    connected: set[str] = set()

    def note(**_: object) -> None:
        connected.add(threading.current_thread().name)

    async def main() -> tuple[float, int]:
        most = 0
        looking_up = asyncio.create_task(_all(count))
        while not looking_up.done():
            names = [thread.name for thread in threading.enumerate()]
            most = max(most, sum(name.startswith(async_pool.THREAD_NAME) for name in names))
            await asyncio.sleep(0.01)
        return await looking_up, most

    connection_created.connect(note)
    try:
        seconds, thread_count = asyncio.run(main())
    finally:
        connection_created.disconnect(note)
    bound = conf.get("ASYNC_THREADS")
    return Answer(
        f"{count:,} at once",
        [Figure("geocache alookup(), all of them", [seconds])],
        [
            Bar("threads of the pool", [thread_count], at_most=bound, unit="threads"),
            Bar("connections to the database", [len(connected)], at_most=bound, unit="connections"),
        ],
    )
