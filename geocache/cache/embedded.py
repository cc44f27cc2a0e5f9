"""The embedded cache: a file of SQLite that all processes of one machine share, without a server.

It can hold a journal: ``add`` and ``incr`` are atomic for all processes, nothing is removed before
it has expired, and what a killed process has written stays. It keeps text and whole numbers as they
are, so that nothing is ever unpickled.

A file that is removed or replaced while processes use it is noticed: by a write at once, by a read
within a second. One that is damaged is put aside, and what can be read of it goes into a new one.
"""

import atexit
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from django.core.cache import BaseCache
from django.core.cache.backends.base import DEFAULT_TIMEOUT, default_key_func

from geocache.batches import batches
from geocache.exceptions import CacheUnusable
from geocache.log import get_logger

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
COUNT: Final = """
    INSERT INTO entries (key, value, expires_at) VALUES (?, ?, NULL)
    ON CONFLICT (key) DO UPDATE SET value = value + excluded.value
"""
GET_BOTH: Final = "SELECT key, value FROM entries WHERE key IN (?, ?)"
# A page of keys: a cursor that is left open would keep the log of SQLite from being emptied.
NAMES: Final = """
    SELECT key FROM entries
    WHERE key > ? AND key < ? AND (expires_at IS NULL OR expires_at > ?) ORDER BY key LIMIT ?
"""
SET_VALUE: Final = "UPDATE entries SET value = ? WHERE key = ?"
TOUCH: Final = """
    UPDATE entries SET expires_at = ? WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)
"""
DELETE: Final = "DELETE FROM entries WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)"
DELETE_MANY: Final = "DELETE FROM entries WHERE key IN ({})"
DELETE_EQUAL: Final = "DELETE FROM entries WHERE key IN ({}) AND value = ?"
DELETE_EXPIRED: Final = """
    DELETE FROM entries WHERE key IN
    (SELECT key FROM entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
"""
READ_ALL: Final = "SELECT key, value, expires_at FROM entries NOT INDEXED ORDER BY rowid {}"
KEEP: Final = "INSERT OR IGNORE INTO entries (key, value, expires_at) VALUES (?, ?, ?)"
# What is raised when this module itself is wrong.
BUGS: Final = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
# SQLite's codes for a file that is not, or not any more, what it wrote.
DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# What Python says of text that is not UTF-8: it was stored as such.
NOT_TEXT: Final = "Could not decode to UTF-8"
# How long a thread that only reads may go on with a file that was removed.
SEEN_SECONDS: Final = 1.0

log = get_logger(__name__)


class EmbeddedCache(BaseCache):
    """A Django cache in a folder; each thread has one connection to its file."""

    # What keys begin with; empty where they are made by a function of the site's own.
    _beginning = ""

    def __init__(self, folder: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.path = Path(folder).expanduser().absolute() / FILE_NAME
        is_plain = self.key_func is default_key_func
        self._beginning = super().make_key("") if is_plain else ""
        self._mine = _per_thread.setdefault(self.path, _Mine())

    def make_key(self, key: str, version: int | None = None) -> str:
        if version is None and self._beginning:
            return self._beginning + key
        return super().make_key(key, version)

    def open(self) -> None:
        """Open the file, as the first use of it does; raise ``CacheUnusable``."""
        self.connection()

    def check(self) -> None:
        """Raise ``CacheUnusable`` if the file cannot be read, or made where there is none.

        Nothing is written: neither the files of a connection, nor a new file for a damaged one.
        """
        if not self.path.exists():
            if not self._is_makeable():
                folder = self._existing_folder()
                raise CacheUnusable(
                    f"{self.path} cannot be opened: {folder} is not a writable folder"
                )
            return
        try:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?immutable=1", uri=True)) as file:
                file.execute("SELECT name FROM sqlite_schema").fetchall()
        except sqlite3.DatabaseError as error:
            raise CacheUnusable(f"{self.path.parent} cannot be opened: {error}") from error

    def _existing_folder(self) -> Path:
        return next(folder for folder in self.path.parents if folder.exists())

    def _is_makeable(self) -> bool:
        folder = self._existing_folder()
        return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)

    def is_unused(self) -> bool:
        """Tell whether the file does not exist yet; a read does not create it."""
        is_new = self._mine.connection is None and not self.path.exists()
        return is_new and self._is_makeable()

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        # Not by _reading(), which takes as long as the rest.
        connection = self._for_reading()
        if connection is None:
            return default
        try:
            row = connection.execute(GET, (self.make_key(key, version), time.time())).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._failure(error, "read") from error
        return default if row is None else row[0]

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        names = {self.make_key(key, version): key for key in keys}
        found: dict[str, Any] = {}
        if self.is_unused():
            return found
        for some in batches(list(names), TRANSACTION_KEYS):
            with self._reading() as connection:
                rows = connection.execute(_for(GET_MANY, some), (*some, time.time()))
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

    def add_many(self, keys: Iterable[str], value: str, timeout: float | None) -> set[str]:
        """Add ``value`` under each key that is free, and return those."""
        added: set[str] = set()
        for some in batches(list(keys), TRANSACTION_KEYS):
            with self._transaction(len(some)) as connection:
                added |= {
                    key for key in some if _is_added(connection, self._row(key, value, timeout))
                }
        return added

    def append(
        self,
        record: tuple[str, str],
        entry: tuple[str, str, float | None] | None,
        flush_key: str,
        pending: tuple[str, int],
    ) -> tuple[bool, tuple[int | None, int | None]]:
        """Do what ``backends.append`` promises, in one transaction."""
        added = self._row(*record, timeout=None)
        kept = self._row(*entry) if entry else None
        name = self.make_key(flush_key)
        count_name, step = self.make_key(pending[0]), pending[1]
        with self._transaction(2) as connection:
            is_added = _is_added(connection, added)
            if is_added:
                if kept:
                    connection.execute(SET, kept)
                connection.execute(COUNT, (count_name, step))
            rows = connection.execute(GET_BOTH, (name, count_name))
            found = dict(rows.fetchall())
        return is_added, (found.get(name), found.get(count_name))

    def names(self, beginning: str) -> Iterator[str]:
        """Give the keys, with prefix and version, that begin so and have not expired."""
        last = beginning
        while not self.is_unused():
            named = (last, beginning + chr(0x10FFFF), time.time(), TRANSACTION_KEYS)
            with self._reading() as connection:
                page = [name for (name,) in connection.execute(NAMES, named)]
            yield from page
            if not page:
                return
            last = page[-1]

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
        for some in batches(rows, TRANSACTION_KEYS):
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

    def add_to_counters(self, steps: Mapping[str, int]) -> None:
        """Do what ``backends.add_to_counters`` promises, in one transaction."""
        rows = [(self.make_key(key), step) for key, step in steps.items()]
        with self._transaction(len(rows)) as connection:
            connection.executemany(COUNT, rows)

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
        for some in batches([self.make_key(key, version) for key in keys], TRANSACTION_KEYS):
            with self._transaction() as connection:
                connection.execute(_for(DELETE_MANY, some), some)

    def delete_if_equal(self, keys: Iterable[str], value: str) -> None:
        """Delete those of ``keys`` that hold ``value``."""
        for some in batches([self.make_key(key) for key in keys], TRANSACTION_KEYS):
            with self._transaction() as connection:
                connection.execute(_for(DELETE_EQUAL, some), (*some, value))

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
        """Return this thread's connection to the file, which is opened when there is none."""
        mine = self._mine
        if mine.connection is None:
            _make_file(self.path)
            # Before it is opened: a file that takes its place meanwhile is then noticed.
            mine.file_id = _file_id(self.path)
            try:
                mine.connection = _open(self.path)
            except sqlite3.DatabaseError as error:
                raise self._failure(error, "opened") from error
            mine.closer = _Closer(mine.connection)
            mine.seen_at = time.monotonic()
        return mine.connection

    def forget_connection(self) -> None:
        """Close this thread's connection; the next use opens the file again."""
        self._mine.__dict__.clear()

    def _for_reading(self) -> sqlite3.Connection | None:
        """Return this thread's connection; None before the first write creates the file."""
        mine = self._mine
        if mine.connection is not None and time.monotonic() - mine.seen_at <= SEEN_SECONDS:
            return mine.connection
        if self.is_unused():
            return None
        is_new = mine.connection is None
        return self.connection() if is_new or not self._is_replaced() else self._reopen()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection = self._for_reading() or self.connection()
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise self._failure(error, "read") from error

    @contextmanager
    def _transaction(self, new_count: int = 0) -> Iterator[sqlite3.Connection]:
        """Write all that is written inside, or nothing; wait ``LOCK_SECONDS`` for others."""
        connection = self.connection()
        if self._is_replaced():
            connection = self._reopen()
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                if new_count:
                    connection.execute(DELETE_EXPIRED, (time.time(), EXPIRED_PER_KEY * new_count))
        except sqlite3.DatabaseError as error:
            raise self._failure(error, "written") from error
        if self._is_replaced():
            # Meanwhile: what was written is in a file that no other process reads.
            self._reopen()
            raise CacheUnusable(f"{self.path} was removed or replaced")

    def _is_replaced(self) -> bool:
        """Tell whether the file of this thread's connection is not the one in the folder."""
        self._mine.seen_at = time.monotonic()
        return self._mine.file_id != _file_id(self.path)

    def _reopen(self) -> sqlite3.Connection:
        self.forget_connection()
        return self.connection()

    def _failure(self, error: sqlite3.DatabaseError, done: str) -> Exception:
        """Return what to raise, after a new file has taken the place of one that is damaged."""
        if isinstance(error, BUGS):
            return error
        is_damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED
        if is_damaged or NOT_TEXT in str(error):
            with suppress(sqlite3.Error, OSError), _one_at_a_time(self.path):
                if not self._is_replaced():
                    self._replace_damaged()
            self.forget_connection()
        return CacheUnusable(f"{self.path.parent} cannot be {done}: {error}")

    def _replace_damaged(self) -> None:
        damaged = self._mine.connection
        # The log of SQLite first: it must not be taken for that of the new file.
        for name in (f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", FILE_NAME):
            with suppress(FileNotFoundError):
                self.path.with_name(name).replace(self.path.with_name(f"{name}.damaged"))
        _make_file(self.path)
        with closing(_open(self.path)) as new:
            kept_count = _salvage(damaged, new) if damaged is not None else 0
        log.error("geo_cache_damaged", path=f"{self.path}.damaged", restored=kept_count)


class _Mine(threading.local):
    """The connection of this thread to one file."""

    connection: sqlite3.Connection | None = None
    closer: "_Closer | None" = None
    # Device and inode of its file, and when they were last compared.
    file_id: tuple[int, int] | None = None
    seen_at = 0.0


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


def _make_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Only where there is none: to open and close a file drops the locks of its connections.
        with suppress(FileExistsError):
            path.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise CacheUnusable(f"{path} cannot be opened: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
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
        make_table(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    # A lock of SQLite on a file beside it, as the kernel drops it with the process.
    with closing(sqlite3.connect(f"{path}.mending", timeout=LOCK_SECONDS)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


def _salvage(damaged: sqlite3.Connection, new: sqlite3.Connection) -> int:
    """Copy the rows that can be read, from both ends of the table; return how many."""
    count = 0
    damaged.text_factory = lambda text: text.decode(errors="replace")
    for order in ("ASC", "DESC"):
        with new:
            new.execute("BEGIN IMMEDIATE")
            with suppress(sqlite3.DatabaseError):
                for row in damaged.execute(READ_ALL.format(order)):
                    # What another process has written to the new file since is newer.
                    count += new.execute(KEEP, row).rowcount
    return count


def make_table(connection: sqlite3.Connection) -> None:
    """Make the table where there is none, waiting for another process that does."""
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


def _for(statement: str, keys: list[str]) -> str:
    return statement.format(", ".join("?" * len(keys)))


atexit.register(_close_mine)
os.register_at_fork(before=_close_mine)
