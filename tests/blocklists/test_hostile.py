"""A list that keeps its reader busy for ever, in a scheduler that also has to flush."""

import gzip
import os
import time
from pathlib import Path

import pytest
from django_apscheduler.models import DjangoJobExecution

from geocache.blocklists.entries import Entries, Limits
from geocache.exceptions import ImportFailed
from geocache.journal import writer
from geocache.models import GeoCache
from tests.factories import many_locations
from tests.support import processes
from tests.support.blocklists import kept

pytestmark = [pytest.mark.any_services, pytest.mark.slow]

FLUSH = "geo_cache_flush"
READER = b"geocache.blocklists.reader"
# What Python runs first in each process: the reader of lists does nothing else any more.
RUNS_AWAY = """
import sys
if "geocache.blocklists.reader" in sys.orig_argv:
    while True:
        pass
"""
SETTINGS = """
from project.settings import *
GEOCACHE = GEOCACHE | {"FLUSH_INTERVAL_SECONDS": 2}
"""


@pytest.mark.parametrize("size", [2**17, 2**20])
def test_entries__one_line_of_commands_without_end(size: int) -> None:
    text = b"table inet x {\n" + b"add element " * (size // 12)
    for data in (text, gzip.compress(text, mtime=0)):
        began = time.monotonic()
        with kept(data) as content, pytest.raises(ImportFailed):
            Entries(content, limits=Limits(seconds=3))
        assert time.monotonic() - began < 10


@pytest.fixture
def runs_away(tmp_path: Path) -> str:
    """A path of modules with which each reader of lists runs away."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text(RUNS_AWAY)
    (tmp_path / "modules" / "hasty_settings.py").write_text(SETTINGS)
    return os.pathsep.join([str(tmp_path / "modules"), os.environ.get("PYTHONPATH", "")])


def readers(parent: int) -> list[int]:
    """The processes of a scheduler that read a list."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            # Its number, name and state, then its parent.
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if READER in words and int(after_name[1]) == parent:
            found.append(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
@pytest.mark.django_db(transaction=True)
def test_schedule_geo__flushes_beside_a_list_that_never_ends(
    tmp_path: Path, runs_away: str
) -> None:
    path = tmp_path / "hostile.txt"
    path.write_text("9.9.9.9\n")
    process = processes.start(
        "schedule_geo",
        PYTHONPATH=runs_away,
        GEOCACHE_IMPORT_SOURCES=f"hostile={path}",
        DJANGO_SETTINGS_MODULE="hasty_settings",
    )
    try:
        processes.wait_until(lambda: readers(process.pid))
        flushes = DjangoJobExecution.objects.filter(job_id=FLUSH)
        before = flushes.count()
        writer.append(many_locations(10))
        processes.wait_until(lambda: GeoCache.objects.count() == 10, seconds=10)
        processes.wait_until(lambda: flushes.count() >= before + 3, seconds=15)
        assert readers(process.pid)
    finally:
        began = time.monotonic()
        output = processes.stop(process)
    assert time.monotonic() - began < 10
    assert process.returncode == 0, output
    assert readers(process.pid) == []
    assert "Traceback" not in output
