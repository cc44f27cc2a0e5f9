import io
import os
import resource
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from geocache.blocklists.entries import Entries
from geocache.blocklists.spool import snapshot, spooled, temporary_folder
from geocache.exceptions import ImportFailed


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def _no_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let Python find no folder for temporary files, as where all are read-only."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "none")])


@pytest.fixture
def banned(tmp_path: Path) -> Path:
    path = tmp_path / "fail2ban.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE bans (jail TEXT, ip TEXT, timeofban INT, data JSON)")
        rows = [("sshd", "9.9.9.9", 1, "{}"), ("sshd", "8.8.8.8", 2, "{}")]
        database.executemany("INSERT INTO bans VALUES (?, ?, ?, ?)", rows)
        database.commit()
    return path


@contextmanager
def small_files(size: int = 50_000) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def source(data: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]  # it reads as one


def test_spooled__file_has_no_name(temporary: Path) -> None:
    with spooled(source(b"9.9.9.9\n" * 100_000)) as kept:
        assert kept.byte_count == 800_000
        assert list(temporary.iterdir()) == []


def test_spooled__disk_that_is_full_is_one_line(temporary: Path) -> None:
    with (
        small_files(),
        pytest.raises(ImportFailed, match=f"cannot be kept in {temporary}: File too large"),
        spooled(source(os.urandom(200_000))),
    ):
        pass


def test_spooled__folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with (
        pytest.raises(ImportFailed, match=f"cannot be kept in {gone}: No such file or directory"),
        spooled(source(b"9.9.9.9\n"), str(gone)),
    ):
        pass


def test_spooled__stops_when_asked_to() -> None:
    with (
        pytest.raises(ImportFailed, match="stopped before it was done"),
        spooled(source(b"9.9.9.9\n"), is_stopped=lambda: True),
    ):
        pass


@pytest.mark.usefixtures("_no_temporary_folder")
def test_temporary_folder__is_the_reserve_where_there_is_none(tmp_path: Path) -> None:
    assert temporary_folder(tmp_path) == str(tmp_path)
    with spooled(source(b"9.9.9.9\n"), str(tmp_path)) as kept:
        entries = Entries(kept)
        assert [entry.text for entry in entries] == ["9.9.9.9"]
        entries.close()


@pytest.mark.usefixtures("_no_temporary_folder")
def test_temporary_folder__none_at_all_is_one_line(tmp_path: Path) -> None:
    for reserve, where in ((None, ""), (tmp_path / "gone", f" nor in {tmp_path}/gone")):
        with pytest.raises(ImportFailed) as caught:
            temporary_folder(reserve)
        assert str(caught.value) == (
            f"it cannot be kept: nothing can be written to a temporary folder (TMPDIR){where}"
        )


def test_snapshot__leaves_no_name(temporary: Path, banned: Path) -> None:
    with snapshot(str(banned)) as whole, spooled(whole) as kept:
        assert list(temporary.iterdir()) == []
        entries = Entries(kept)
        assert [entry.text for entry in entries] == ["8.8.8.8", "9.9.9.9"]
        entries.close()
    assert list(temporary.iterdir()) == []


def test_snapshot__disk_that_is_full_is_one_line(temporary: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "large")) as database:
        database.execute("CREATE TABLE bans (ip TEXT)")
        database.execute("INSERT INTO bans VALUES (?)", ["1" * 200_000])
        database.commit()
    with (
        small_files(),
        pytest.raises(ImportFailed, match="cannot be read: "),
        snapshot(str(tmp_path / "large")),
    ):
        pass
    assert list(temporary.iterdir()) == []
