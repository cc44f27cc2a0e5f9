"""A Redis with Sentinels fails over while answers are recorded: none that was returned is lost."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import checks

from geocache.cache import backends
from geocache.exceptions import FlushError, JournalUnavailable
from geocache.journal.flush import FlushReport, flush_dirty
from geocache.journal.writer import Writer
from geocache.location import dump_locations
from geocache.models import GeoCache
from tests.conftest import require
from tests.factories import a_location
from tests.support.processes import wait_until
from tests.support.redis_sentinel import Watched, watched

pytestmark = [
    pytest.mark.cache_decides,
    pytest.mark.slow,
    pytest.mark.django_db,
    pytest.mark.usefixtures("cache"),
]

WRITERS = 8


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Watched]:
    require(shutil.which("redis-server") is not None, "redis-server")
    with watched(tmp_path) as started:
        yield started


@pytest.fixture(params=["djangos", "django_redis"])
def cache(request: Any, settings: Any, servers: Watched) -> None:
    entry = getattr(servers, request.param)()
    settings.CACHES = {**settings.CACHES, "geocache": entry}


class Site:
    """Writers as of so many processes, and the answers that they have returned."""

    def __init__(self) -> None:
        self.writers = [Writer() for _ in range(WRITERS)]
        self.returned: set[str] = set()
        self._next = 0

    def record(self, count: int) -> int:
        """Record so many answers; return how many the cache took. The others are not returned."""
        taken = 0
        for _ in range(count):
            self._next += 1
            address = f"20.0.{self._next >> 8}.{self._next & 255}"
            try:
                writer = self.writers[self._next % WRITERS]
                writer.append(dump_locations([a_location(address)]), answer_count=1)
            except JournalUnavailable:
                continue
            taken += 1
            self.returned.add(address)
        return taken


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def flushed() -> FlushReport | None:
    try:
        return flush_dirty()
    except FlushError:
        return None


def test_sentinel__can_hold_the_journal() -> None:
    assert backends.journal_problem(backends.current()) == ""
    ids = {one.id for one in checks.run_checks(include_deployment_checks=True)}
    assert not ids & {"geocache.E001", "geocache.E092", "geocache.W003", "geocache.W007"}


@pytest.mark.parametrize("has_flushed", [False, True])
def test_sentinel__failover_loses_what_was_not_replicated_and_no_answer(
    servers: Watched, has_flushed: bool
) -> None:
    site = Site()
    assert site.record(40) == 40
    if has_flushed:
        flush_dirty()
    # Each writer has a segment: django-redis asks replicas before it takes one.
    site.record(WRITERS)
    with servers.primary.client() as client:
        assert client.wait(1, 5_000) == 1
    # From here on the primary takes answers that the replica will never hear of.
    servers.replica.stall()
    with servers.primary.client() as client:
        client.client_kill_filter(_type="replica")
    before = set(site.returned)
    assert site.record(40) == 40
    servers.fail_over(with_loss=True)
    with servers.replica.client() as client:
        held = [client.get(key) or b"" for key in client.scan_iter("*:r:*")]
    new = site.returned - before
    assert not any(address.encode() in text for text in held for address in new)

    wait_until(lambda: site.record(WRITERS) == WRITERS, seconds=60)
    wait_until(flushed)
    # A writer hears of it when it takes a segment: with its next answer after a flush.
    site.record(WRITERS)
    wait_until(flushed)
    assert stored() >= site.returned


@pytest.mark.timeout(180)
def test_sentinel__failover_while_writers_write_and_a_flush_runs(
    servers: Watched,
) -> None:
    site, is_over = Site(), threading.Event()

    def write_on() -> None:
        while not is_over.is_set():
            site.record(WRITERS)
            time.sleep(0.01)

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        for _ in range(3):
            time.sleep(0.3)
            flushed()
        servers.fail_over(with_loss=False)
        count = len(site.returned)
        wait_until(lambda: len(site.returned) > count + 100, seconds=60)
        wait_until(flushed)
    finally:
        is_over.set()
        thread.join()
    site.record(WRITERS)
    wait_until(flushed)
    site.record(WRITERS)
    wait_until(flushed)
    assert stored() >= site.returned
