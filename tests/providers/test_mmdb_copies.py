"""A file that is written over while it is in use: the copy answers until there is a whole one."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from geocache.exceptions import NotVerifiedYet, ProviderError
from geocache.lookup import lookup
from geocache.models import GeoCache
from geocache.providers.mmdb import RECHECK_SECONDS, MmdbProvider, fallback_path
from geocache.providers.mmdb_copies import FOLDER, copy_of, remove_copies
from geocache.providers.verified_files import Stamp
from tests.factories import CITY_RECORD, LONDON, an_mmdb

pytestmark = pytest.mark.any_services

NETWORK = "81.2.69.0/24"


@pytest.fixture(autouse=True)
def var(tmp_path: Path, settings: Any) -> Path:
    """The folder of the copies: the test's own."""
    settings.GEOCACHE = {**settings.GEOCACHE, "VAR_DIR": tmp_path / "var"}
    (tmp_path / "var").mkdir()
    return tmp_path / "var"


def a_file(path: Path, name: str, towns: int = 0) -> Path:
    records = {NETWORK: a_city(name)} | {
        f"20.{n}.0.0/16": a_city(f"{name} {n}") for n in range(towns)
    }
    return an_mmdb(path, records, build_epoch=1_700_000_000 + 86_400 * towns)


def a_city(name: str) -> dict[str, Any]:
    return {**CITY_RECORD, "city": {"names": {"en": name}}}


def look_again(provider: MmdbProvider) -> None:
    """Let the time pass after which the files are looked at again."""
    provider.rechecked_at -= RECHECK_SECONDS


def wait_for(provider: MmdbProvider, city: str) -> None:
    deadline = time.monotonic() + 60
    while provider.resolve(LONDON).city != city:
        assert time.monotonic() < deadline
        look_again(provider)


def copies(var: Path) -> list[str]:
    return sorted(path.name for path in (var / FOLDER).iterdir())


@pytest.mark.parametrize("towns", [0, 40])
def test_written_over__old_answers_until_it_is_whole(tmp_path: Path, var: Path, towns: int) -> None:
    live = a_file(tmp_path / "live.mmdb", "Oldtown", towns=20)
    fresh = a_file(tmp_path / "fresh.mmdb", "Newtown", towns=towns).read_bytes()
    provider = MmdbProvider([live])
    build = provider.build()
    with capture_logs() as logs:
        for size in range(0, len(fresh), len(fresh) // 5):
            # What "cat fresh > live" does, a part at a time.
            live.write_bytes(fresh[:size])
            look_again(provider)
            assert provider.resolve(LONDON).city == "Oldtown"
        live.write_bytes(fresh)
        look_again(provider)
        assert (provider.resolve(LONDON).city, provider.build()) == ("Oldtown", build)
        # A process of its own verifies it, which may take longer than a look.
        wait_for(provider, "Newtown")
    assert provider.build() != build
    assert [(log["event"], log["path"]) for log in logs] == [
        ("geo_database_written_over", str(live))
    ]
    assert copies(var) == [f"{Stamp.of(live).key}.mmdb"]


def test_written_over__in_the_middle_for_good_the_old_one_goes_on(tmp_path: Path) -> None:
    live = a_file(tmp_path / "live.mmdb", "Oldtown", towns=20)
    provider = MmdbProvider([live])
    provider.build()
    live.write_bytes(live.read_bytes()[:500])
    with capture_logs() as logs:
        for _ in range(3):
            look_again(provider)
            assert provider.resolve(LONDON).city == "Oldtown"
    assert {log["event"] for log in logs} == {
        "geo_database_written_over",
        "geo_database_not_reopened",
    }


WRITER = """
import sys, time
live, fresh = sys.argv[1:]
data = open(fresh, "rb").read()
for _ in range(5):
    with open(live, "wb", buffering=0) as file:
        for start in range(0, len(data), len(data) // 20):
            file.write(data[start : start + len(data) // 20])
            time.sleep(0.01)
"""


@pytest.mark.slow
@pytest.mark.parametrize("towns", [1, 120])
def test_written_over__by_another_process_no_answer_is_of_neither(
    tmp_path: Path, towns: int
) -> None:
    """Without a copy this process is killed (SIGBUS), and answers are of neither file."""
    live = a_file(tmp_path / "live.mmdb", "Oldtown", towns=60)
    fresh = a_file(tmp_path / "fresh.mmdb", "Newtown", towns=towns)
    provider = MmdbProvider([live])
    provider.build()
    is_done = threading.Event()
    seen: set[tuple[str, str]] = set()

    def ask() -> None:
        while not is_done.is_set():
            answer = provider.resolve(LONDON)
            seen.add((answer.city, answer.source))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    subprocess.run([sys.executable, "-c", WRITER, live, fresh], check=True)
    wait_for(provider, "Newtown")
    is_done.set()
    for thread in threads:
        thread.join()
    days = {"Oldtown": 60, "Newtown": towns}
    expected = {
        (name, str(MmdbProvider([a_file(tmp_path / name, name, towns=days[name])]).sources()[0]))
        for name in ("Oldtown", "Newtown")
    }
    assert seen <= expected


# --- without a copy ------------------------------------------------------------------------------


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.mkstemp", fail)


@pytest.mark.usefixtures("full")
def test_no_room__the_file_itself_is_open_and_the_log_says_so(tmp_path: Path) -> None:
    live = a_file(tmp_path / "live.mmdb", "Oldtown")
    with capture_logs() as logs:
        assert MmdbProvider([live]).resolve(LONDON).city == "Oldtown"
    assert [(log["event"], log["error"]) for log in logs] == [
        ("geo_database_opened_without_copy", "No space left on device")
    ]


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.usefixtures("full")
def test_no_room__what_is_written_over_fails_and_is_not_stored(
    tmp_path: Path, settings: Any
) -> None:
    live = a_file(tmp_path / "live.mmdb", "Oldtown")
    fresh = a_file(tmp_path / "fresh.mmdb", "Newtown", towns=40).read_bytes()
    backend = "geocache.providers.mmdb.MmdbProvider"
    options = {"databases": [str(live)]}
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "PROVIDER": {"BACKEND": backend, "OPTIONS": options},
    }
    assert lookup("81.2.69.1").city == "Oldtown"
    with live.open("r+b") as file:
        file.write(fresh)
        file.flush()
        assert lookup("81.2.69.2").reason == "unavailable"
    assert not GeoCache.objects.filter(address="81.2.69.2").exists()
    provider = MmdbProvider([live])
    provider.build()
    live.touch()
    with pytest.raises(ProviderError, match="written over while it was in use"):
        provider.resolve(LONDON)
    deadline = time.monotonic() + 60
    while provider.opened()[0].stamp != Stamp.of(live) and time.monotonic() < deadline:
        look_again(provider)
    assert provider.resolve(LONDON).city == "Newtown"


# --- the copies ----------------------------------------------------------------------------------


def test_copy_of__is_made_once_for_all_processes(tmp_path: Path, var: Path) -> None:
    live = a_file(tmp_path / "live.mmdb", "Oldtown")
    stamp = Stamp.of(live)
    copy = copy_of(live, stamp)
    before = copy.stat()
    assert copy_of(live, stamp).stat() == before
    assert copy.read_bytes() == live.read_bytes()
    assert copies(var) == [copy.name]


def test_copy_of__one_that_is_cut_off_is_made_again(tmp_path: Path) -> None:
    live = a_file(tmp_path / "live.mmdb", "Oldtown")
    stamp = Stamp.of(live)
    copy_of(live, stamp).write_bytes(b"cut")
    assert copy_of(live, stamp).read_bytes() == live.read_bytes()


def test_copy_of__what_is_another_file_by_now_is_not_kept(tmp_path: Path, var: Path) -> None:
    live = a_file(tmp_path / "live.mmdb", "Oldtown")
    stamp = Stamp.of(live)
    live.write_bytes(b"another")
    with pytest.raises(NotVerifiedYet, match="is being written"):
        copy_of(live, stamp)
    assert copies(var) == []


def test_remove_copies__of_files_that_are_gone_and_old_leftovers(tmp_path: Path, var: Path) -> None:
    files = [a_file(tmp_path / f"{n}.mmdb", f"Town {n}") for n in range(3)]
    gone, used, others = map(Stamp.of, files)
    for file, stamp in zip(files, (gone, used, others), strict=True):
        copy_of(file, stamp)
    for age, name in ((0, "young.part"), (90_000, "old.part")):
        left = var / FOLDER / name
        left.touch()
        os.utime(left, (left.stat().st_atime, left.stat().st_mtime - age))
    remove_copies([gone], [used])
    assert copies(var) == sorted([f"{used.key}.mmdb", f"{others.key}.mmdb", "young.part"])


def test_pin__no_other_file_gets_the_inode_of_one_that_is_in_use(tmp_path: Path) -> None:
    live = a_file(tmp_path / "live.mmdb", "Town")
    provider = MmdbProvider([live])
    inode = provider.opened()[0].stamp.inode
    live.unlink()
    for n in range(20):
        (tmp_path / f"new-{n}").touch()
    assert inode not in {path.stat().st_ino for path in tmp_path.glob("new-*")}


def test_open__the_sample_of_the_package_is_not_copied(var: Path) -> None:
    assert MmdbProvider([fallback_path()]).build()
    assert not (var / FOLDER).exists()
