"""What is left behind: keys in the cache, memory in writers and flushers."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from geocache.cache import backends
from geocache.journal import segments
from geocache.journal import writer as journal_writer
from geocache.journal.flush import flush_dirty
from geocache.location import dump_locations
from geocache.lookup import lookup
from geocache.models import GeoCache
from tests.factories import a_location, use_dummy_provider
from tests.support import processes
from tests.support.redis_server import a_redis_server

pytestmark = [pytest.mark.cache_decides, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

WRITERS = 200
KINDS = re.compile(r"^.*?:1:(?:[0-9a-f]{6}:)?(?P<kind>[a-z]+)(:|$)")


def kinds(client: Any) -> Counter[str]:
    names = [key.decode() for key in client.scan_iter(count=1000)]
    return Counter(match["kind"] if (match := KINDS.match(name)) else name for name in names)


def test_keys__after_a_churn_of_processes_are_entries_counter_head_and_seals(
    tmp_path: Path, settings: Any
) -> None:
    use_dummy_provider(settings)
    with a_redis_server(tmp_path, settings) as server, server.client() as client:
        for number in range(WRITERS):
            lookup(f"20.0.0.{number}")
            # The next process goes on.
            journal_writer.process_writer.reset()
            if not number % 50:
                flush_dirty()
        flush_dirty()
        flush_dirty()
        left = kinds(client)
        seals = list(client.scan_iter(match="*:r:*", count=1000))
        owners = list(client.scan_iter(match="*:o:*", count=1000))

        assert GeoCache.objects.count() == WRITERS
        once = {"id", "t", "f", "h", "w", "n"}
        assert set(left) == {"e", "r", "o", *once}
        assert left["e"] == WRITERS
        assert {left[name] for name in once} == {1}
        assert left["r"] <= WRITERS
        assert left["o"] <= WRITERS
        assert {client.get(key) for key in seals} == {segments.SEAL.encode()}
        terms = [client.ttl(key) for key in (*seals, *owners)]
        assert all(0 < seconds <= segments.SEAL_SECONDS for seconds in terms)


def test_keys__after_a_lost_counter_no_record_stays_behind(tmp_path: Path, settings: Any) -> None:
    with a_redis_server(tmp_path, settings) as server, server.client() as client:
        flush_dirty()
        writers = [journal_writer.Writer() for _ in range(10)]
        for round_number in range(3):
            for number, writer in enumerate(writers):
                writer.open_segments.clear()
                writer.append(dump_locations([a_location(f"20.0.{round_number}.{number}")]))
            backends.current().delete(segments.key(segments.Name.TICKET))
            flush_dirty()
        for _ in range(3):
            flush_dirty()

        records = client.scan_iter(match="*:r:*", count=1000)
        assert {client.get(key) for key in records} <= {segments.SEAL.encode()}
        assert GeoCache.objects.count() == 30


MEMORY = """
import gc, resource
from geocache.journal import writer
from geocache.journal.flush import flush_dirty
from tests.factories import a_location
def work(count):
    for number in range(count):
        address = f"20.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        writer.append([a_location(address)])
        if not number % 1000:
            flush_dirty()
    flush_dirty()
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * resource.getpagesize() / 2**20
before = work(4_000)
after = work(12_000)
print("GREW", after - before)
"""


@pytest.mark.skipif(
    "not __import__('pathlib').Path('/proc/self/statm').exists()", reason="no /proc"
)
def test_memory__of_a_writer_and_flusher_is_flat(tmp_path: Path, settings: Any) -> None:
    with a_redis_server(tmp_path, settings) as server:
        process = processes.start_script(MEMORY, CACHE_URL=server.url, **processes.WITHOUT_DEBUG)
        try:
            output = process.communicate(timeout=300)[0]
        finally:
            process.kill()

    assert process.returncode == 0, output
    assert float(output.rpartition("GREW ")[2]) < 6
