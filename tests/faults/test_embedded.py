"""The embedded cache: its folder is full, read-only, or locked by a process that does not go on."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from geocache import lookup
from geocache.cache import backends
from geocache.cache import embedded as embedded_cache
from geocache.cache.embedded import FILE_NAME, EmbeddedCache
from geocache.exceptions import FlushError
from geocache.journal import writer
from geocache.journal.flush import flush_dirty
from geocache.models import GeoCache, RejectedEntry
from tests.factories import use_dummy_provider
from tests.support import processes

pytestmark = [pytest.mark.any_services, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


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


# --- its folder removed or replaced, its file damaged -------------------------------------------


def cache_path() -> Path:
    backend: Any = backends.current()
    path: Path = backend.path
    return path


def remove_folder() -> None:
    shutil.rmtree(cache_path().parent)


def replace_folder() -> None:
    """Put an older state of the folder in its place, as from a backup."""
    folder = cache_path().parent
    with closing(sqlite3.connect(cache_path())) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.rmtree(folder)
    (folder.parent / "backup").rename(folder)


def back_up_folder() -> None:
    folder = cache_path().parent
    with closing(sqlite3.connect(cache_path())) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(folder, folder.parent / "backup")


LOOKING_UP = """
import sys
from django.conf import settings
settings.GEOCACHE = {{**settings.GEOCACHE, "PROVIDER": {{
    "BACKEND": "geocache.providers.dummy.DummyProvider", "OPTIONS": {{}}}}}}
settings.CACHES = {{**settings.CACHES, "geocache": {{
    "BACKEND": "geocache.cache.embedded.EmbeddedCache", "LOCATION": {folder!r},
    "KEY_PREFIX": settings.CACHES["geocache"]["KEY_PREFIX"]}}}}
from geocache import lookup
for line in sys.stdin:
    print(lookup.lookup(line.strip()).address, flush=True)
"""


@pytest.fixture
def other_writer() -> Iterator[Callable[[str], None]]:
    """Look addresses up in another process, which lives on."""
    process = processes.start_script(LOOKING_UP.format(folder=str(cache_path().parent)))
    pipe, output = process.stdin, process.stdout
    assert pipe
    assert output

    def look_up(address: str) -> None:
        pipe.write(f"{address}\n")
        pipe.flush()
        # Its log is there, too.
        assert address in (line.strip() for line in iter(output.readline, ""))

    yield look_up
    process.kill()
    process.communicate()


@pytest.mark.parametrize("change", [remove_folder, replace_folder])
@pytest.mark.parametrize("is_flushed", [True, False])
def test_embedded__folder_removed_or_replaced_beside_writers_loses_nothing(
    other_writer: Callable[[str], None], change: Callable[[], None], *, is_flushed: bool
) -> None:
    other_writer("20.0.1.1")
    back_up_folder()
    lookup.lookup("20.0.0.1")
    other_writer("20.0.1.2")
    if is_flushed:
        flush_dirty()
        lookup.lookup("20.0.0.2")

    change()
    # A scheduler that is started now has only ever seen the new file.
    flush_in_another_process()
    lookup.lookup("20.0.0.3")
    other_writer("20.0.1.3")
    flush_in_another_process()
    other_writer("20.0.1.4")
    flush_in_another_process()

    expected = {"20.0.0.1", "20.0.0.3", *(f"20.0.1.{number}" for number in (1, 2, 3, 4))}
    assert stored() == expected | ({"20.0.0.2"} if is_flushed else set())


def flush_in_another_process() -> None:
    code = LOOKING_UP.replace("for line in sys.stdin:", "for line in ():")
    code += "\nfrom geocache.journal.flush import flush_dirty\nflush_dirty()"
    process = processes.start_script(code.format(folder=str(cache_path().parent)))
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output


def test_embedded__folder_removed_a_reader_follows_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend: Any = backends.current()
    backend.set("a", "old")
    remove_folder()
    other = EmbeddedCache(str(cache_path().parent), {})
    with ThreadPoolExecutor(1) as pool:
        pool.submit(other.set, "a", "new").result()
    later = time.monotonic() + 2
    monkeypatch.setattr("geocache.cache.embedded.time.monotonic", lambda: later)

    assert other.get("a") == "new"


def test_embedded__folder_replaced_while_it_is_opened_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, make_table = cache_path(), embedded_cache.make_table
    backends.current().set("a", "old")
    close_connections()

    def replace_meanwhile(connection: sqlite3.Connection) -> None:
        make_table(connection)
        monkeypatch.undo()
        shutil.rmtree(path.parent)
        path.parent.mkdir()
        path.touch()

    monkeypatch.setattr(embedded_cache, "make_table", replace_meanwhile)

    backends.current().set("a", "new")

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT value FROM entries").fetchall() == [("new",)]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_embedded__bytes_flipped_in_its_file_loses_nothing_that_can_be_read(share: float) -> None:
    lookup.lookup_many(addresses(3000))
    writer.process_writer.reset()
    given = addresses(500, first=3000)
    lookup.lookup_many(given)
    with closing(sqlite3.connect(cache_path())) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    close_connections()
    flip_bytes(share)

    with capture_logs() as logs:
        for number in range(5):
            lookup.lookup(f"30.0.0.{number}")
            with suppress(FlushError):
                flush_dirty()
        flush_dirty()

    found = stored()
    assert {f"30.0.0.{number}" for number in range(5)} <= found
    # This process holds what it has journaled; the records of the other were read, but for a few
    # that stood where the bytes were flipped.
    assert set(given) <= found
    assert len(found) + 200 * RejectedEntry.objects.count() >= 3505 - 400
    damaged = [entry for entry in logs if entry["event"] == "geo_cache_damaged"]
    assert len(damaged) <= 1
    if damaged:
        assert Path(damaged[0]["path"]).exists()


def test_embedded__a_file_that_is_no_database_is_put_aside() -> None:
    lookup.lookup("20.0.0.1")
    close_connections()
    cache_path().write_bytes(b"not a database " * 1000)

    with capture_logs() as logs, suppress(FlushError):
        flush_dirty()
    lookup.lookup("20.0.0.2")
    flush_dirty()

    assert stored() == {"20.0.0.1", "20.0.0.2"}
    assert "geo_cache_damaged" in [entry["event"] for entry in logs]


def close_connections() -> None:
    """Let the next use open the file again, as a process that is started then."""
    backend: Any = backends.current()
    backend.forget_connection()


def flip_bytes(share: float) -> None:
    """Flip 400 bytes behind a share of the file."""
    path = cache_path()
    data = bytearray(path.read_bytes())
    start = int(len(data) * share)
    for at in range(start, start + 400):
        data[at] ^= 0xFF
    path.write_bytes(data)
