"""The embedded cache: a file of SQLite that all processes of one machine share, without a server.

It can hold a journal: ``add`` and ``incr`` are atomic for all processes, nothing is removed before
it has expired, and what a killed process has written stays. It keeps text and whole numbers as they
are, so that nothing is ever unpickled.
"""

import atexit
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from django.core.cache import BaseCache
from django.core.cache.backends.base import DEFAULT_TIMEOUT

from geocache.exceptions import CacheUnusable

FILE_NAME: Final = "cache.sqlite3"
# Keys per transaction: long enough to pay, short enough that no other writer waits for long.
TRANSACTION_KEYS: Final = 500
# How long a write waits for another process before it fails.
LOCK_SECONDS: Final = 5.0
# Expired rows that are removed for each key that is written, so that they do not add up.
EXPIRED_PER_KEY: Final = 2

# NORMAL: a killed process loses nothing; a machine without power may lose the last transactions.
PRAGMAS: Final = ("PRAGMA synchronous = NORMAL", "PRAGMA cache_size = -4096")
# WAL, so that reads go on beside a write. The index finds what has expired; records of the journal
# never do, and are not in it.
WAL: Final = "PRAGMA journal_mode = WAL"
TABLE: Final = """
    CREATE TABLE IF NOT EXISTS entries
    (key TEXT NOT NULL PRIMARY KEY, value NOT NULL, expires_at REAL)
"""
INDEX: Final = """
    CREATE INDEX IF NOT EXISTS expiring ON entries (expires_at) WHERE expires_at IS NOT NULL
"""
GET: Final = """
    SELECT value FROM entries WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)
"""
GET_MANY: Final = """
    SELECT key, value FROM entries WHERE key IN ({}) AND (expires_at IS NULL OR expires_at > ?)
"""
SET: Final = """
    INSERT INTO entries (key, value, expires_at) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
"""
ADD: Final = f"{SET} WHERE expires_at <= ?"
SET_VALUE: Final = "UPDATE entries SET value = ? WHERE key = ?"
TOUCH: Final = """
    UPDATE entries SET expires_at = ? WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)
"""
DELETE: Final = "DELETE FROM entries WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)"
DELETE_MANY: Final = "DELETE FROM entries WHERE key IN ({})"
DELETE_EXPIRED: Final = """
    DELETE FROM entries WHERE key IN
    (SELECT key FROM entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
"""

T = TypeVar("T")


class EmbeddedCache(BaseCache):
    """A Django cache in a folder; each thread has one connection to its file."""

    def __init__(self, folder: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.path = Path(folder).expanduser().absolute() / FILE_NAME
        self._mine = _per_thread.setdefault(self.path, _Mine())

    def open(self) -> None:
        """Open the file, as the first use of it does; raise ``CacheUnusable``."""
        self.connection()

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        named = (self.make_key(key, version), time.time())
        row = self.connection().execute(GET, named).fetchone()
        return default if row is None else row[0]

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        names = {self.make_key(key, version): key for key in keys}
        found: dict[str, Any] = {}
        for some in _batches(list(names)):
            rows = self.connection().execute(_for(GET_MANY, some), (*some, time.time()))
            found |= {names[name]: value for name, value in rows}
        return found

    def add(
        self,
        key: str,
        value: str | int,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        row = self._row(key, value, timeout, version)
        with self._transaction(1) as connection:
            return _is_added(connection, row)

    def add_and_set(
        self, record: tuple[str, str], entry: tuple[str, str], timeout: float | None
    ) -> bool:
        """Add a record that never expires and set an entry: both, or neither (False)."""
        added, kept = self._row(*record, timeout=None), self._row(*entry, timeout=timeout)
        with self._transaction(2) as connection:
            is_added = _is_added(connection, added)
            if is_added:
                connection.execute(SET, kept)
        return is_added

    def set(
        self,
        key: str,
        value: str | int,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> None:
        row = self._row(key, value, timeout, version)
        with self._transaction(1) as connection:
            connection.execute(SET, row)

    def set_many(
        self,
        data: Mapping[str, str | int],
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[str]:
        rows = [self._row(key, value, timeout, version) for key, value in data.items()]
        for some in _batches(rows):
            with self._transaction(len(some)) as connection:
                connection.executemany(SET, some)
        return []

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        name = self.make_key(key, version)
        with self._transaction() as connection:
            row = connection.execute(GET, (name, time.time())).fetchone()
            if row is None:
                raise ValueError(f"Key '{key}' not found")
            # In Python: SQLite would go on with a fraction beyond 64 bits, and add to text.
            number: int = row[0] + delta
            connection.execute(SET_VALUE, (number, name))
        return number

    def touch(
        self, key: str, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        changed = (self.get_backend_timeout(timeout), self.make_key(key, version), time.time())
        with self._transaction() as connection:
            return connection.execute(TOUCH, changed).rowcount > 0

    def delete(self, key: str, version: int | None = None) -> bool:
        named = (self.make_key(key, version), time.time())
        with self._transaction() as connection:
            return connection.execute(DELETE, named).rowcount > 0

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> None:
        for some in _batches([self.make_key(key, version) for key in keys]):
            with self._transaction() as connection:
                connection.execute(_for(DELETE_MANY, some), some)

    def clear(self) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM entries")

    def close(self, **_: object) -> None:
        """Keep the connection: Django calls this after each request, and to open one takes long."""

    def _row(
        self, key: str, value: object, timeout: float | None, version: int | None = None
    ) -> tuple[str, str | int, float | None]:
        if not isinstance(value, str) and type(value) is not int:
            raise TypeError(f"{type(value).__name__} cannot be stored: only text and whole numbers")
        return self.make_key(key, version), value, self.get_backend_timeout(timeout)

    def connection(self) -> sqlite3.Connection:
        connection = self._mine.connection
        if connection is None:
            connection = self._mine.connection = _open(self.path)
            self._mine.closer = _Closer(connection)
        return connection

    @contextmanager
    def _transaction(self, new_count: int = 0) -> Iterator[sqlite3.Connection]:
        """Write all that is written inside, or nothing; wait ``LOCK_SECONDS`` for others."""
        connection = self.connection()
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                if new_count:
                    connection.execute(DELETE_EXPIRED, (time.time(), EXPIRED_PER_KEY * new_count))
        except sqlite3.OperationalError as error:
            raise CacheUnusable(f"{self.path.parent} cannot be written: {error}") from error


class _Mine(threading.local):
    """The connection of this thread to one file."""

    connection: sqlite3.Connection | None = None
    closer: "_Closer | None" = None


class _Closer:
    """Closes a connection when its thread ends, in the process that has opened it.

    SQLite forbids a child to use its parent's connections, and to close them: it keeps them.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.process_id = os.getpid()

    def __del__(self) -> None:
        if self.process_id == os.getpid():
            self.connection.close()
        else:
            _inherited.append(self.connection)


_per_thread: Final[dict[Path, _Mine]] = {}
_inherited: Final[list[sqlite3.Connection]] = []


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Only where there is none: to open and close a file drops the locks of its connections.
        with suppress(FileExistsError):
            path.touch(mode=0o600, exist_ok=False)
        connection = _connect(path)
    except (OSError, sqlite3.Error) as error:
        raise CacheUnusable(f"{path} cannot be opened: {error}") from error
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    # On a read-only disk SQLite cannot make the file by which readers and writers agree.
    is_fixed = not os.access(path.parent, os.W_OK)
    # Used by one thread, and closed by the one that notices that it has ended.
    connection = sqlite3.connect(
        f"{path.as_uri()}?immutable={is_fixed:d}",
        uri=True,
        timeout=LOCK_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for statement in PRAGMAS:
            connection.execute(statement)
        _make_table(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _make_table(connection: sqlite3.Connection) -> None:
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            for statement in (WAL, TABLE, INDEX):
                connection.execute(statement)
        except sqlite3.OperationalError as error:
            # Two processes make the file: SQLite itself does not wait before it turns WAL on.
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() >= until:
                raise
            time.sleep(0.01)
        else:
            return


def _close_mine() -> None:
    """Close this thread's connections, before a fork: a child would believe in locks it lacks."""
    for mine in list(_per_thread.values()):
        mine.__dict__.clear()


def _is_added(connection: sqlite3.Connection, row: tuple[str, str | int, float | None]) -> bool:
    return connection.execute(ADD, (*row, time.time())).rowcount > 0


def _batches(rows: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(rows), TRANSACTION_KEYS):
        yield rows[start : start + TRANSACTION_KEYS]


def _for(statement: str, keys: list[str]) -> str:
    return statement.format(", ".join("?" * len(keys)))


atexit.register(_close_mine)
os.register_at_fork(before=_close_mine)
