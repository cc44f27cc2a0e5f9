import io
import os
import resource
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from geocache.addresses.blocks import Entry, parse_entries
from geocache.blocklists import content
from geocache.blocklists.content import Entries, snapshot, spooled
from geocache.exceptions import ImportFailed


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def banned(tmp_path: Path) -> Path:
    path = tmp_path / "fail2ban.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE bans (ip TEXT)")
        database.executemany("INSERT INTO bans VALUES (?)", [("9.9.9.9",), ("8.8.8.8",)])
        database.commit()
    return path


def source(data: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]  # it reads as one


def test_spooled__file_has_no_name(temporary: Path) -> None:
    with spooled(source(b"9.9.9.9\n" * 100_000)) as kept:
        assert kept.byte_count == 800_000
        assert list(temporary.iterdir()) == []


def test_entries__of_a_database_are_read_from_a_file_without_a_name(
    temporary: Path, banned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def parsed(text: str) -> list[Entry]:
        seen.append(list(temporary.iterdir()))
        return parse_entries(text)

    monkeypatch.setattr(content, "parse_entries", parsed)
    with snapshot(str(banned)) as whole, spooled(whole) as kept:
        seen.append(list(temporary.iterdir()))
        entries = Entries(kept)
        assert [entry.text for entry in entries] == ["8.8.8.8", "9.9.9.9"]
        entries.close()
    assert seen == [[], [], []]
    assert list(temporary.iterdir()) == []


def test_entries__disk_that_is_full_is_one_line(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def connect(*args: object, **options: object) -> sqlite3.Connection:
        opened.append(connection := sqlite3.dbapi2.connect(*args, **options))  # type: ignore[call-overload]  # handed on
        connection.execute("PRAGMA max_page_count = 3")
        return connection

    monkeypatch.setattr(content.sqlite3, "connect", connect)
    lines = b"".join(b"20.0.%d.%d\n" % (n >> 8, n & 255) for n in range(10_000))
    with spooled(source(lines)) as kept, pytest.raises(ImportFailed) as caught:
        Entries(kept)
    assert (
        str(caught.value) == f"its entries cannot be kept in {temporary}: database or disk is full"
    )
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


@contextmanager
def small_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_spooled__disk_that_is_full_is_one_line(temporary: Path) -> None:
    with (
        small_files(),
        pytest.raises(ImportFailed, match=f"cannot be kept in {temporary}: File too large"),
        spooled(source(os.urandom(200_000))),
    ):
        pass


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
