import os
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from django.core.management import call_command
from structlog.testing import capture_logs

from geocache.exceptions import NotVerifiedYet, ProviderError
from geocache.providers import factory, mmdb_verification, mmdb_walk
from geocache.providers.mmdb import RECHECK_SECONDS, MmdbProvider
from geocache.providers.mmdb_verification import Verification, waiting_for_verification
from geocache.providers.verified_files import KEPT_FILES, Stamp, VerifiedFiles
from tests.factories import CITY_RECORD, LONDON, an_mmdb

pytestmark = pytest.mark.any_services

NETWORK = "81.2.69.0/24"


@pytest.fixture(autouse=True)
def var(tmp_path: Path, settings: Any) -> Path:
    """The folder that keeps what was verified: the test's own."""
    settings.GEOCACHE = {**settings.GEOCACHE, "VAR_DIR": tmp_path / "var"}
    return tmp_path / "var"


@pytest.fixture
def city(tmp_path: Path) -> Path:
    return a_file(tmp_path / "city.mmdb", "Testville")


def a_file(path: Path, name: str) -> Path:
    return an_mmdb(path, {NETWORK: {**CITY_RECORD, "city": {"names": {"en": name}}}})


def kept(var: Path) -> VerifiedFiles:
    return VerifiedFiles(var / "verified_databases.json", mmdb_walk.reader_name())


def start_afresh() -> None:
    """As another process, which knows only what was kept."""
    mmdb_verification.verifications.clear()


def without_children(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> None:
        pytest.fail("a file that is known is walked through again")

    monkeypatch.setattr(subprocess, "run", run)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(("position", "value"), [(557, 15), (542, 83), (1410, 211), (1422, 81)])
def test_verification__file_that_crashes_the_reader_is_refused_and_this_process_lives(
    tmp_path: Path, position: int, value: int
) -> None:
    """One byte of these is changed, and the C reader of maxminddb 3.2 ends its process by it."""
    towns = {n: {"names": {"en": f"Town {n}" * (n % 7 + 1)}} for n in range(40)}
    records = {f"20.{n}.0.0/16": {**CITY_RECORD, "city": town} for n, town in towns.items()}
    path = an_mmdb(tmp_path / "city.mmdb", records)
    data = bytearray(path.read_bytes())
    data[position] = value
    path.write_bytes(data)
    with pytest.raises(ProviderError, match="damaged: "):
        MmdbProvider([path]).build()


@pytest.mark.parametrize("code", [-11, -6])
def test_verification__says_that_the_reader_crashes(
    monkeypatch: pytest.MonkeyPatch, city: Path, code: int
) -> None:
    ended = subprocess.CompletedProcess([], code, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(ProviderError, match=rf"damaged: its reader crashes \(signal {-code}\)"):
        MmdbProvider([city]).build()


@pytest.mark.slow
def test_verification__endless_tree_is_refused_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, city: Path
) -> None:
    monkeypatch.setattr(mmdb_verification, "BASE_SECONDS", 1)
    with maxminddb.open_database(city) as reader:
        count, size = reader.metadata().node_count, reader.metadata().record_size
    # Each of a hundred nodes leads to the next by both its records: 2 ** 100 ways to the end.
    ends = [*range(1, 100), *[count] * (count - 99)]
    tree = b"".join(2 * end.to_bytes(size // 8, "big") for end in ends)
    city.write_bytes(tree + city.read_bytes()[len(tree) :])
    with pytest.raises(ProviderError, match="not read to its end in time"):
        MmdbProvider([city]).build()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX has pipes with a name")
def test_verification__pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "city.mmdb")
    with pytest.raises(ProviderError, match="not a readable MaxMind DB file"):
        MmdbProvider([tmp_path / "city.mmdb"]).build()


def test_verification__error_in_the_thread_is_never_success(
    monkeypatch: pytest.MonkeyPatch, city: Path
) -> None:
    monkeypatch.setattr(mmdb_verification, "module_command", lambda *_: ["/nowhere/python"])
    with pytest.raises(ProviderError, match="cannot be verified: No such file or directory"):
        MmdbProvider([city]).build()


# --- what is remembered --------------------------------------------------------------------------


def test_verified__file_is_not_walked_through_again(
    monkeypatch: pytest.MonkeyPatch, city: Path
) -> None:
    MmdbProvider([city]).build()
    start_afresh()
    without_children(monkeypatch)
    assert MmdbProvider([city]).resolve(LONDON).city == "Testville"
    # An update renames what it has verified.
    renamed = city.rename(city.with_name("other.mmdb"))
    assert MmdbProvider([renamed]).resolve(LONDON).city == "Testville"


def test_verified__file_that_has_changed_is_verified_again(city: Path) -> None:
    MmdbProvider([city]).build()
    start_afresh()
    data = bytearray(city.read_bytes())
    data[data.index(b"\0" * 16) + 16 : data.rindex(b"MaxMind.com") - 3] = b"\xff" * (
        data.rindex(b"MaxMind.com") - 3 - data.index(b"\0" * 16) - 16
    )
    city.write_bytes(data)
    with pytest.raises(ProviderError, match="damaged"):
        MmdbProvider([city]).build()


def test_verified__copy_is_known_by_its_content(
    monkeypatch: pytest.MonkeyPatch, city: Path, tmp_path: Path, var: Path
) -> None:
    MmdbProvider([city]).build()
    copied = Path(shutil.copy(city, tmp_path / "copy.mmdb"))
    monkeypatch.setattr(mmdb_walk, "walk", lambda _: pytest.fail("walked through again"))
    monkeypatch.setattr(mmdb_walk, "limit_resources", lambda *_: None)
    assert mmdb_walk.main(str(copied), str(kept(var).path), "60") == 0
    assert kept(var).has(Stamp.of(copied))


def test_verified__processes_that_start_together_walk_once(
    monkeypatch: pytest.MonkeyPatch, city: Path, var: Path
) -> None:
    walked = []

    def walk(path: Path) -> str:
        walked.append(path)
        time.sleep(0.2)
        return ""

    monkeypatch.setattr(mmdb_walk, "walk", walk)
    monkeypatch.setattr(mmdb_walk, "limit_resources", lambda *_: None)
    arguments = (str(city), str(kept(var).path), "60")
    with ThreadPoolExecutor(3) as pool:
        codes = [pool.submit(mmdb_walk.main, *arguments) for _ in range(3)]
    assert [one.result() for one in codes] == [0, 0, 0]
    assert walked == [city]


def test_verified__another_reader_verifies_again(city: Path, var: Path) -> None:
    MmdbProvider([city]).build()
    assert kept(var).has(Stamp.of(city))
    assert not VerifiedFiles(kept(var).path, "another reader").has(Stamp.of(city))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"reader": 1, "files": 2}', "\0"])
def test_verified__what_cannot_be_read_is_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "verified.json"
    path.write_text(text)
    assert not VerifiedFiles(path, "reader").has(Stamp(1, 2, 3))


def test_verified__only_the_last_are_kept(tmp_path: Path) -> None:
    files = VerifiedFiles(tmp_path / "verified.json", "reader")
    for n in range(KEPT_FILES + 1):
        files.add(Stamp(n, 1, 1), f"{n}")
    assert not files.has(Stamp(0, 1, 1))
    assert files.has(Stamp(KEPT_FILES, 1, 1))


def test_verified__where_nothing_can_be_written_it_holds_for_the_process(
    monkeypatch: pytest.MonkeyPatch, city: Path, var: Path
) -> None:
    var.write_text("a file where the folder should be")
    with capture_logs() as logs:
        MmdbProvider([city]).build()
    events = [entry["event"] for entry in logs]
    assert events == ["geo_database_verified_for_this_process_only"]
    without_children(monkeypatch)
    assert MmdbProvider([city]).resolve(LONDON).city == "Testville"


# --- who waits -----------------------------------------------------------------------------------


@pytest.fixture
def walking(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Every verification goes on until this event is set."""
    is_done, found = threading.Event(), Verification.find_problem

    def slow(self: Verification) -> str:
        is_done.wait(30)
        return found(self)

    monkeypatch.setattr(Verification, "find_problem", slow)
    return is_done


def test_waiting__first_look_up_fails_after_a_while_and_answers_later(
    city: Path, walking: threading.Event
) -> None:
    provider = MmdbProvider([city])
    with waiting_for_verification(0.1):
        for _ in range(2):
            with pytest.raises(NotVerifiedYet, match="is being verified, as it is new here"):
                provider.resolve(LONDON)
    walking.set()
    assert provider.resolve(LONDON).city == "Testville"


@pytest.mark.slow
def test_waiting__files_that_are_open_answer_meanwhile(
    city: Path, request: pytest.FixtureRequest
) -> None:
    provider = MmdbProvider([city])
    provider.build()
    walking = request.getfixturevalue("walking")
    a_file(city.with_suffix(".new"), "Newtown").replace(city)
    provider.rechecked_at -= RECHECK_SECONDS
    with capture_logs() as logs:
        assert provider.resolve(LONDON).city == "Testville"
    assert logs == []
    walking.set()
    assert mmdb_verification.verifications[Stamp.of(city)].done.wait(30)
    provider.rechecked_at -= RECHECK_SECONDS
    assert provider.resolve(LONDON).city == "Newtown"


@pytest.mark.django_db
def test_waiting__commands_and_checks_wait_to_the_end(
    settings: Any, city: Path, walking: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [city]}
    threading.Timer(0.5, walking.set).start()
    with waiting_for_verification(0.0):
        call_command("lookup_geo", LONDON)
        assert factory.current().check() == []
    assert "Testville" in capsys.readouterr().out


def test_fork__child_does_not_wait_for_threads_that_it_has_not(
    city: Path, walking: threading.Event
) -> None:
    with waiting_for_verification(0.0), pytest.raises(NotVerifiedYet):
        MmdbProvider([city]).build()
    pid = os.fork()
    if pid == 0:
        walking.set()
        os._exit(0 if MmdbProvider([city]).resolve(LONDON).city == "Testville" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    walking.set()
