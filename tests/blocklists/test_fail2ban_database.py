"""Databases as fail2ban makes them, and hostile ones."""

import io
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from geocache.blocklists.formats.base import BadLine, Element, Found, Options
from geocache.blocklists.formats.fail2ban.database import read
from geocache.exceptions import ImportFailed

SCHEMA = """
CREATE TABLE fail2banDb(version INTEGER);
CREATE TABLE jails(name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1);
CREATE INDEX jails_name ON jails(name);
CREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL,
    bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON,
    FOREIGN KEY(jail) REFERENCES jails(name));
CREATE INDEX bans_jail_ip ON bans(jail, ip);
CREATE TABLE bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL,
    bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON,
    PRIMARY KEY(ip, jail));
"""
BANS = "INSERT INTO bans VALUES ('sshd', '1.0.0.1', 1767323045, 600, 1, NULL);"
BIPS = "INSERT INTO bips VALUES ('9.9.9.9', 'sshd', 1700000000, -1, 1, NULL);"


def a_database(path: Path, *statements: str) -> bytes:
    with closing(sqlite3.connect(path)) as database:
        for one in statements:
            database.executescript(one)
        database.commit()
    return path.read_bytes()


def found(content: bytes, *, own_jail: str = "") -> list[Found]:
    return list(read(io.BytesIO(content), Options(own_jail=own_jail)))


def texts(content: bytes, *, own_jail: str = "") -> set[str]:
    rows = found(content, own_jail=own_jail)
    assert all(isinstance(row, Element) for row in rows), rows
    return {text for row in rows if isinstance(row, Element) for text in row.texts}


def refusal(content: bytes) -> str:
    started = time.monotonic()
    with pytest.raises(ImportFailed) as caught:
        found(content)
    assert time.monotonic() - started < 5
    return str(caught.value)


@pytest.mark.parametrize(
    ("statements", "addresses"),
    [
        ([SCHEMA, BANS, BIPS], {"1.0.0.1", "9.9.9.9"}),
        ([SCHEMA, BIPS], {"9.9.9.9"}),
        ([SCHEMA, BANS, "DROP TABLE bips"], {"1.0.0.1"}),
        ([SCHEMA, BANS, BANS, BIPS.replace("9.9.9.9", "1.0.0.1")], {"1.0.0.1"}),
        ([SCHEMA], set()),
        (["CREATE TABLE bans (ip TEXT)", "INSERT INTO bans VALUES ('1.0.0.1')"], {"1.0.0.1"}),
    ],
)
def test_database__bans_of_a_day_and_those_that_last_longer(
    tmp_path: Path, statements: Sequence[str], addresses: set[str]
) -> None:
    assert texts(a_database(tmp_path / "f2b", *statements)) == addresses


def test_database__own_jail_is_left_out_of_both_tables(tmp_path: Path) -> None:
    own = [one.replace("sshd", "geocache").replace(".0.0.", ".1.1.") for one in (BANS, BIPS)]
    content = a_database(tmp_path / "f2b", SCHEMA, BANS, *own)
    assert texts(content, own_jail="geocache") == {"1.0.0.1"}
    assert texts(content) == {"1.0.0.1", "1.1.1.1", "9.9.9.9"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("NULL", "None"),
        ("X'09090909'", "b'\\t\\t\\t\\t'"),
        ("''", ""),
        (f"'{'1' * 500}'", "1" * 100),
    ],
)
def test_database__value_that_is_not_an_address_is_a_bad_line(
    tmp_path: Path, value: str, shown: str
) -> None:
    content = a_database(tmp_path / "f2b", SCHEMA, BANS, BANS.replace("'1.0.0.1'", value))
    assert found(content) == [Element(1, ("1.0.0.1",)), BadLine(2, shown)]


def test_database__bans_with_very_much_data_are_read(tmp_path: Path) -> None:
    large = BANS.replace("NULL", "zeroblob(3000000)").replace("1.0.0.1", "1.1.1.1")
    assert texts(a_database(tmp_path / "f2b", SCHEMA, BANS, large)) == {"1.0.0.1", "1.1.1.1"}


def test_database__text_that_is_not_utf8_is_a_bad_word(tmp_path: Path) -> None:
    content = a_database(
        tmp_path / "f2b", SCHEMA, BANS.replace("'1.0.0.1'", "CAST(X'ff31' AS TEXT)")
    )
    assert texts(content) == {"\ufffd1"}


def test_database__in_wal_mode_is_read(tmp_path: Path) -> None:
    content = a_database(tmp_path / "f2b", "PRAGMA journal_mode=WAL", SCHEMA, BANS)
    assert content[18] == 2
    assert texts(content) == {"1.0.0.1"}


ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) SELECT n FROM c"


@pytest.mark.parametrize(
    "statements",
    [
        [f"CREATE VIEW bans(ip) AS {ENDLESS}"],
        ["CREATE VIEW bans(ip) AS SELECT printf('%.*c', 900000000, '1')"],
        [SCHEMA, BANS, "DROP TABLE bips", f"CREATE VIEW bips(ip) AS {ENDLESS}"],
        ["CREATE VIRTUAL TABLE bans USING fts4(ip)"],
        [SCHEMA, "CREATE TRIGGER t AFTER INSERT ON bans BEGIN DELETE FROM bips; END"],
    ],
)
def test_database__that_holds_code_is_refused(tmp_path: Path, statements: Sequence[str]) -> None:
    assert "no database of fail2ban: it has a " in refusal(
        a_database(tmp_path / "f2b", *statements)
    )


def test_database__view_that_calls_itself_a_table_is_refused(tmp_path: Path) -> None:
    content = a_database(
        tmp_path / "f2b",
        "CREATE TABLE bans(ip TEXT)",
        f"CREATE VIEW v(ip) AS {ENDLESS}",
        "PRAGMA writable_schema=ON",
        "DELETE FROM sqlite_master WHERE name='bans'",
        "UPDATE sqlite_master SET type='table', name='bans', tbl_name='bans',"
        " sql=replace(sql, 'VIEW v', 'VIEW bans')",
    )
    assert refusal(content)


@pytest.mark.parametrize(
    "column",
    ["printf('%.*c', 90000, '1')", "hex(zeroblob(40000))", "replace(jail, 's', jail)"],
)
def test_database__column_that_is_computed_is_not_read(tmp_path: Path, column: str) -> None:
    content = a_database(
        tmp_path / "f2b",
        f"CREATE TABLE bans(jail TEXT, ip TEXT GENERATED ALWAYS AS ({column}) VIRTUAL)",
        "INSERT INTO bans(jail) VALUES ('sshd')",
    )
    assert "no such table" in refusal(content)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE users(name TEXT)",
        "CREATE TABLE bans(who TEXT, reason TEXT)",
        "CREATE TABLE bips(count INTEGER)",
        "PRAGMA user_version=3",
    ],
)
def test_database__of_another_program_is_refused(tmp_path: Path, statement: str) -> None:
    content = a_database(tmp_path / "f2b", statement)
    assert "no database of fail2ban: no such table" in refusal(content)


def many_bans(path: Path) -> bytes:
    rows = "\n".join(BANS.replace("0.0.1", f"0.{n >> 8}.{n & 255}") for n in range(5_000))
    return a_database(path, SCHEMA, f"BEGIN;{rows}COMMIT;")


def test_database__tree_that_names_one_page_again_and_again_ends(tmp_path: Path) -> None:
    content = bytearray(many_bans(tmp_path / "f2b"))
    with closing(sqlite3.connect(tmp_path / "f2b")) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
        query = "SELECT rootpage FROM sqlite_master WHERE name='bans'"
        (root,) = database.execute(query).fetchone()
    start = (root - 1) * size
    # An interior page: each of its cells begins with the number of a child.
    assert content[start] == 5
    page = content[start : start + size]
    cells = [
        int.from_bytes(page[at : at + 2]) for at in range(12, 12 + 2 * int.from_bytes(page[3:5]), 2)
    ]
    child = int.from_bytes(page[8:12])
    for _ in range(6):
        for at in (8, *cells):
            page[at : at + 4] = child.to_bytes(4)
        content += page
        child = len(content) // size
    content[start : start + size] = page
    content[28:32] = child.to_bytes(4)
    assert "more rows than bytes" in refusal(bytes(content))


@pytest.mark.parametrize("kept", [100, 5_000, 100_000])
def test_database__that_is_cut_off_is_one_line(tmp_path: Path, kept: int) -> None:
    assert "\n" not in refusal(many_bans(tmp_path / "f2b")[:kept])


def test_database__leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    rows = read(io.BytesIO(a_database(tmp_path / "f2b", SCHEMA, BANS)), Options())
    assert next(iter(rows)) == Element(1, ("1.0.0.1",))
    assert list(folder.iterdir()) == []
