"""The embedded cache: its folder is full, read-only, or locked by a process that does not go on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from geocache import lookup
from geocache.cache import backends
from geocache.cache.embedded import FILE_NAME
from geocache.exceptions import FlushError
from geocache.journal.flush import flush_dirty
from geocache.models import GeoCache
from tests.factories import use_dummy_provider
from tests.support import processes

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def embedded(settings: Any, tmp_path: Path) -> None:
    """Give a cache in a folder of its own, whatever the other tests run on."""
    use_dummy_provider(settings)
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {
            "BACKEND": "geocache.cache.embedded.EmbeddedCache",
            "LOCATION": str(tmp_path / "cache"),
            "KEY_PREFIX": settings.CACHES["geocache"]["KEY_PREFIX"],
        },
    }


def addresses(count: int, *, first: int = 0) -> list[str]:
    return [f"20.0.{n >> 8}.{n & 255}" for n in range(first, first + count)]


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def execute(sql: str) -> int:
    """Ask the cache's own connection, of this thread."""
    backend: Any = backends.current()
    row = backend.connection().execute(sql).fetchone()
    return int(row[0]) if row else 0


@contextmanager
def full() -> Iterator[None]:
    execute(f"PRAGMA max_page_count = {execute('PRAGMA page_count')}")
    try:
        yield
    finally:
        execute(f"PRAGMA max_page_count = {2**30}")


def test_embedded__full_answers_are_written_through() -> None:
    lookup.lookup_many(addresses(10))
    with full(), capture_logs() as logs:
        answers = lookup.lookup_many(addresses(2000, first=10))

    assert len(answers) == 2000
    assert "geo_cache_written_through" in [entry["event"] for entry in logs]
    # Where there was room for a record or two, it is in the journal.
    assert stored() > set(addresses(1000, first=1010))
    flush_dirty()
    assert stored() == set(addresses(2010))


# A process of its own: it would never end if the cache waited for ever.
FAULTY = """
from django.conf import settings
from geocache import lookup
from geocache.cache import backends
settings.GEOCACHE = {{**settings.GEOCACHE, "PROVIDER": {{
    "BACKEND": "geocache.providers.dummy.DummyProvider", "OPTIONS": {{}}}}}}
backends.current().connection().execute("PRAGMA {pragma}")
print(*lookup.lookup_many([f"30.0.0.{{number}}" for number in range(10)]), sep="\\n")
"""


def look_up_in_a_process(pragma: str, folder: Path) -> list[str]:
    code = FAULTY.format(pragma=pragma)
    process = processes.start_script(code, GEOCACHE_VAR_DIR=str(folder), CACHE_URL="")
    try:
        output = process.communicate(timeout=30)[0]
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, output
    assert "geo_cache_written_through" in output
    return [line for line in output.splitlines() if line.startswith("30.")]


def test_embedded__read_only_answers_are_written_through(tmp_path: Path) -> None:
    lookup.lookup_many(addresses(10))

    answered = look_up_in_a_process("query_only = 1", tmp_path)

    assert len(answered) == 10
    assert stored() == set(answered)
    flush_dirty()
    assert stored() == {*answered, *addresses(10)}


def test_embedded__locked_by_a_stopped_process_answers_are_written_through(tmp_path: Path) -> None:
    lookup.lookup_many(addresses(10))
    path = next(tmp_path.rglob(FILE_NAME))

    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        # As long as the product waits, in short.
        answered = look_up_in_a_process("busy_timeout = 100", tmp_path)
        other.rollback()

    assert stored() == set(answered)
    flush_dirty()
    assert stored() == {*answered, *addresses(10)}


def test_embedded__full_keeps_what_it_holds_for_a_later_flush() -> None:
    lookup.lookup_many(addresses(500))

    # A flush frees more than its seals take; what it cannot write it says.
    with full(), suppress(FlushError):
        flush_dirty()
    flush_dirty()

    assert stored() == set(addresses(500))
