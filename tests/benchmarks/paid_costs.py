"""What a list of addresses costs, asked for by one process or by several at once."""

import multiprocessing
import random
import tempfile
import time
import uuid
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections
from django.test import override_settings

from geocache.addresses import special_reason
from geocache.lookup import lookup_many
from geocache.providers.mmdb import MmdbProvider

SEED = 2019
BLOCKS = 5_000
BATCH = 100


def real_looking(count: int) -> list[str]:
    """Return public IPv4 addresses, some of them more than once."""
    chance = random.Random(SEED)

    def anywhere() -> Iterator[int]:
        while True:
            number = chance.getrandbits(32)
            if not special_reason(IPv4Address(number)):
                yield number

    scanner = anywhere()
    blocks = [next(scanner) & ~0x3FF for _ in range(BLOCKS)]
    weights = [chance.paretovariate(1) for _ in blocks]
    crowd = iter(chance.choices(blocks, weights, k=count))
    numbers = (
        next(scanner) if n % 5 == 0 else next(crowd) | chance.getrandbits(10) for n in range(count)
    )
    return [str(IPv4Address(number)) for number in numbers]


def ask(share: list[str]) -> None:
    """Look a share of the list up, in batches as a page of a log has them."""
    for start in range(0, len(share), BATCH):
        lookup_many(share[start : start + BATCH])


def ask_at_once(addresses: list[str], process_count: int) -> float:
    """Deal the list out to processes; return how many seconds they took."""
    connections.close_all()
    context = multiprocessing.get_context("fork")
    crew = [
        context.Process(target=ask, args=(addresses[n::process_count],))
        for n in range(process_count)
    ]
    started = time.perf_counter()
    for process in crew:
        process.start()
    for process in crew:
        process.join()
        assert process.exitcode == 0, "a process failed"
    return time.perf_counter() - started


def measure(count: int, process_count: int) -> None:
    """Print what the list costs when so many processes ask at once."""

    addresses = real_looking(count)
    provider = MmdbProvider()
    distinct = set(addresses)
    networks = {provider.resolve(address).network for address in distinct}
    with tempfile.TemporaryDirectory() as folder:
        backend = "tests.benchmarks.paid_provider.PaidProvider"
        configured = {"BACKEND": backend, "OPTIONS": {"folder": folder}}
        prefix = f"geocache-benchmark-{uuid.uuid4().hex[:8]}"
        caches: dict[str, Any] = {
            **settings.CACHES,
            "geocache": {**settings.CACHES["geocache"], "KEY_PREFIX": prefix},
        }
        with override_settings(
            CACHES=caches, GEOCACHE={**settings.GEOCACHE, "PROVIDER": configured}
        ):
            seconds = ask_at_once(addresses, process_count)
        paid = [line for path in Path(folder).iterdir() for line in path.read_text().split()]
    print(
        f"{process_count} at once: {len(addresses):,} looked up, {len(distinct):,} distinct, "
        f"in {len(networks):,} networks; {len(paid):,} paid, {len(paid) - len(set(paid)):,} of "
        f"them for an address twice; {seconds:.0f} s",
        flush=True,
    )
