"""The database goes back to an earlier state; sites share a cache."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from structlog.testing import capture_logs

from geocache import lookup
from geocache.cache import backends
from geocache.exceptions import FlushError
from geocache.journal import reader, writer
from geocache.journal.flush import flush_dirty
from geocache.lookup.memory import memory
from geocache.models import FlushRun, GeoCache, JournalHead
from tests.factories import use_dummy_provider
from tests.support import processes

pytestmark = [pytest.mark.cache_decides, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def dummy(settings: Any) -> None:
    use_dummy_provider(settings)


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def addresses(count: int, *, first: int = 0) -> set[str]:
    return {f"20.0.{n >> 8}.{n & 255}" for n in range(first, first + count)}


@contextmanager
def restored_afterwards() -> Iterator[None]:
    """Let the database be afterwards as it is now: a replica takes over that is behind."""
    rows, heads = list(GeoCache.objects.all()), list(JournalHead.objects.all())
    yield
    for model, kept in ((GeoCache, rows), (JournalHead, heads)):
        model.objects.all().delete()
        model.objects.bulk_create(kept)


@pytest.mark.parametrize("has_flushed", [True, False])
def test_database__that_goes_back_gets_its_rows_from_hot_entries(*, has_flushed: bool) -> None:
    lookup.lookup_many(addresses(5))
    if has_flushed:
        flush_dirty()
    with restored_afterwards():
        lookup.lookup_many(addresses(40, first=5))
        flush_dirty()

    with capture_logs() as logs:
        flush_dirty()

    assert stored() == addresses(45)
    (said,) = [entry for entry in logs if entry["event"] == "geo_database_went_back"]
    assert (said["restored"], said["lost"]) == (40 if has_flushed else 45, 0)
    lookup.lookup("20.0.200.1")
    assert flush_dirty().lost == 0
    assert stored() == {*addresses(45), "20.0.200.1"}


def test_database__that_goes_back_counts_what_cannot_be_restored() -> None:
    flush_dirty()
    with restored_afterwards():
        lookup.lookup_many(addresses(40))
        flush_dirty()
    # Hot entries that have expired.
    keys = backends.scan(backends.current(), backends.ENTRY_KEYS)
    assert keys is not None
    backends.current().delete_many(sorted(keys)[:15])

    assert flush_dirty().lost == 15

    assert GeoCache.objects.count() == 25
    assert FlushRun.objects.filter(lost=15).exists()
    assert flush_dirty().lost == 0


def test_database__that_goes_back_is_restored_whatever_the_time_limit() -> None:
    flush_dirty()
    with restored_afterwards():
        lookup.lookup_many(addresses(40))
        flush_dirty()

    flush_dirty(time_limit_seconds=-1)

    assert stored() == addresses(40)


def test_database__that_is_as_it_was_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    lookup.lookup_many(addresses(40))
    flush_dirty()
    asked: list[str] = []
    monkeypatch.setattr(backends, "scan", lambda *given: asked.append(given[1]))
    lookup.lookup_many(addresses(40, first=40))
    flush_dirty()
    flush_dirty()

    assert not asked


@pytest.mark.parametrize("step", ["forget", "count_deleted"])
def test_database__that_goes_back_during_a_flush_gets_its_rows_from_hot_entries(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    lookup.lookup_many(addresses(5))
    flush_dirty()
    lookup.lookup_many(addresses(40, first=5))
    real = getattr(reader, step)

    def fail_after(*given: Any) -> None:
        real(*given)
        raise OperationalError("the server closed the connection")

    with restored_afterwards(), monkeypatch.context() as patch:
        patch.setattr(reader, step, fail_after)
        with pytest.raises(FlushError):
            flush_dirty()
        writer.process_writer.reset()

    report = flush_dirty()

    assert (stored(), report.lost) == (addresses(45), 0)


@pytest.mark.parametrize("versions", ["12345678", "87654321"])
def test_database__that_goes_back_gets_the_newest_of_several_hot_entries(
    settings: Any, versions: str
) -> None:
    flush_dirty()
    with restored_afterwards():
        # The keys of several builds are in no order.
        for version in versions:
            use_dummy_provider(settings, version=version)
            lookup.lookup("20.0.0.1")
        flush_dirty()

    flush_dirty()

    assert GeoCache.objects.get().source == f"Dummy {versions[-1]}"


# --- sites that share a cache -------------------------------------------------------------------


class Site:
    """A project with a database of its own, on the cache of this test."""

    def __init__(self, path: Path) -> None:
        self.variables = {"DATABASE_URL": f"sqlite:///{path}"}
        self.path = path

    def run(self, *arguments: str) -> str:
        """Run a command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=processes.ROOT,
            env=processes.environment(**self.variables),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Return the figures of ``status_geo``."""
        status: dict[str, Any] = json.loads(self.run("status_geo", "--json"))
        return status


@pytest.mark.parametrize("kind", ["another", "copy"])
def test_sites__that_share_a_cache_have_a_journal_each(tmp_path: Path, kind: str) -> None:
    first, second = Site(tmp_path / "first.sqlite3"), Site(tmp_path / "second.sqlite3")
    first.run("migrate")
    first.run("lookup_geo", "81.2.69.160")
    if kind == "copy":
        first.run("flush_geo")
        shutil.copy(first.path, second.path)
        rows = 1
    else:
        second.run("migrate")
        rows = 0

    first.run("lookup_geo", "2.125.160.216", "81.2.69.142")
    second.run("lookup_geo", "81.2.69.142")
    second.run("flush_geo")

    # Its own answer, though the first one has it as a hot entry; and none of the first one's.
    assert second.status()["rows"] == rows + 1
    assert first.status()["pending"] == (2 if kind == "copy" else 3)
    first.run("flush_geo")
    assert (first.status()["rows"], first.status()["pending"]) == (3, 0)
    assert first.status()["lost_records"] == second.status()["lost_records"] == 0


def test_tests__beside_a_site_take_nothing_of_its_journal(tmp_path: Path) -> None:
    site = Site(tmp_path / "site.sqlite3")
    site.run("migrate")
    site.run("lookup_geo", "4.4.4.4", "3.3.3.3")

    # This test is what a host's test is: it has another database.
    lookup.lookup("81.2.69.142")
    flush_dirty()
    memory.clear()

    assert stored() == {"81.2.69.142"}
    assert site.status()["pending"] == 2
    site.run("flush_geo")
    assert site.status()["rows"] == 2
