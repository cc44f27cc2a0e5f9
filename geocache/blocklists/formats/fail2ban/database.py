"""fail2ban's own database: all that it has bans of.

``bans`` is what it holds for ``dbpurgeage``, a day; ``bips``, since 0.11, what lasts longer.
A database from elsewhere may hold code, such as a view that never ends. So only the columns of real
tables are read, and no more rows than its length has room for.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from geocache.blocklists.formats.base import BadLine, Element, Found, Options
from geocache.exceptions import ImportFailed

NAME: Final = "fail2ban's database"
REFUSAL: Final = "no database of fail2ban"

TABLES: Final = ("bans", "bips")
# What a database of fail2ban consists of. A view or a virtual table would be code.
OBJECTS: Final = ("CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX ")
# A value, or a row without what lies on pages of its own; addresses have some 40 letters.
MAX_VALUE_BYTES: Final = 1_000_000
MAX_ADDRESS_LETTERS: Final = 100
# No row is shorter. A damaged tree can hold the same page any number of times.
MIN_ROW_BYTES: Final = 6
# Instructions that SQLite may run, with some for each byte, and after how many it is asked.
MAX_STEPS: Final = 5_000_000
STEPS_OF_A_BYTE: Final = 5
STEPS: Final = 10_000


def read(file: IO[bytes], options: Options) -> Iterator[Found]:
    """Give all addresses that a database has bans of; raise ``ImportFailed`` if it is not one."""
    try:
        with _opened(file) as database:
            tables = _tables(database)
            if not any(tables.values()):
                raise ImportFailed(f"{REFUSAL}: no such table as bans or bips, with a column ip")
            most = _byte_count(file) // MIN_ROW_BYTES
            for number, (jail, address) in enumerate(_rows(database, tables), 1):
                if number > most:
                    raise ImportFailed(f"{REFUSAL}: it is damaged, with more rows than bytes")
                if not options.own_jail or jail != options.own_jail:
                    yield _found(number, address)
    except sqlite3.Error as error:
        is_cut = error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
        reason = "it takes far longer than its length tells" if is_cut else error
        raise ImportFailed(f"{REFUSAL}: {reason}") from error


def _found(number: int, address: object) -> Found:
    if isinstance(address, str) and 0 < len(address) <= MAX_ADDRESS_LETTERS:
        return Element(number, (address,))
    shown = address if isinstance(address, str) else repr(address)
    return BadLine(number, shown[:MAX_ADDRESS_LETTERS])


def _rows(
    database: sqlite3.Connection, tables: dict[str, set[str]]
) -> Iterator[tuple[object, object]]:
    for name, columns in tables.items():
        if columns:
            jail = "jail" if "jail" in columns else "NULL"
            # Of an index that is damaged other rows could come than those of the table.
            query = f"SELECT {jail}, ip FROM {name} NOT INDEXED"  # noqa: S608 - constants
            yield from database.execute(query)


def _tables(database: sqlite3.Connection) -> dict[str, set[str]]:
    """Return the columns of each table of bans; raise ``ImportFailed`` where there is code."""
    for kind, name, sql in database.execute("SELECT type, name, sql FROM sqlite_master"):
        if sql is not None and not str(sql).startswith(OBJECTS):
            raise ImportFailed(f"{REFUSAL}: it has a {str(kind)[:20]} {str(name)[:40]!r}")
    return {name: _columns(database, name) for name in TABLES}


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    """Return the names of its columns that are stored; none unless one is ``ip``."""
    rows = database.execute(f"PRAGMA table_xinfo({table})")
    names = {name for _, name, _, _, _, _, hidden in rows if not hidden}
    return names if "ip" in names else set()


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[sqlite3.Connection]:
    """Open a copy that has a name no longer than that takes, as SQLite opens only names."""
    handle, name = tempfile.mkstemp(prefix="geocache-import-")
    copy = Path(name)
    try:
        _copy(file, handle)
        with closing(sqlite3.connect(f"{copy.as_uri()}?immutable=1", uri=True)) as database:
            _limit(database, MAX_STEPS + STEPS_OF_A_BYTE * _byte_count(file))
            # It is opened with the first statement that needs it.
            database.execute("SELECT COUNT(*) FROM sqlite_master")
            # What is killed from here on leaves no file. Windows removes none that is open.
            with suppress(PermissionError):
                copy.unlink()
            yield database
    finally:
        copy.unlink(missing_ok=True)


def _copy(file: IO[bytes], handle: int) -> None:
    try:
        with os.fdopen(handle, "wb") as target:
            file.seek(0)
            shutil.copyfileobj(file, target)
    except OSError as error:
        reason = error.strerror or error
        raise ImportFailed(f"it cannot be kept in {tempfile.gettempdir()}: {reason}") from error


def _byte_count(file: IO[bytes]) -> int:
    return file.seek(0, os.SEEK_END)


def _decode(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _limit(database: sqlite3.Connection, max_steps: int) -> None:
    """Let it run no code of others, and neither long nor with much memory."""
    steps = 0

    def is_too_much() -> bool:
        nonlocal steps
        steps += STEPS
        return steps > max_steps

    database.text_factory = _decode
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
    for pragma in ("trusted_schema=OFF", "query_only=ON", "cell_size_check=ON", "mmap_size=0"):
        database.execute(f"PRAGMA {pragma}")
    database.set_progress_handler(is_too_much, STEPS)
