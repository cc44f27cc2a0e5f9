"""The embedded cache: a folder that all processes of one machine share, without a server.

diskcache, set up so that it can hold a journal (it never evicts) and cannot unpickle code. Many
keys are read, set and deleted by a statement for hundreds of them: diskcache has one for each key.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Final

from diskcache_community import Cache, SafeDisk, Timeout
from diskcache_community.core import MODE_RAW
from diskcache_community.djangocache import DjangoCache
from django.core.cache.backends.base import DEFAULT_TIMEOUT

# Keys per transaction: long enough to pay, short enough that no other writer waits for long.
TRANSACTION_KEYS: Final = 500
# How long the cache may be locked by one process before others do without it.
LOCK_SECONDS: Final = 5

READ_SQL: Final = """
    SELECT key, mode, value FROM Cache
    WHERE key IN ({marks}) AND raw = 1 AND (expire_time IS NULL OR expire_time > ?)
"""
SET_SQL: Final = """
    INSERT INTO Cache (key, raw, store_time, expire_time, access_time, size, mode, value)
    VALUES (?, 1, ?, ?, ?, 0, ?, ?)
    ON CONFLICT (key, raw) DO UPDATE SET
        store_time = excluded.store_time, expire_time = excluded.expire_time,
        access_time = excluded.access_time, access_count = 0, tag = NULL,
        size = 0, mode = excluded.mode, filename = NULL, value = excluded.value
"""
FILES_SQL: Final = (
    "SELECT filename FROM Cache WHERE key IN ({marks}) AND raw = 1 AND filename IS NOT NULL"
)
DELETE_SQL: Final = "DELETE FROM Cache WHERE key IN ({marks}) AND raw = 1"


class Store(Cache):
    """A diskcache that takes many keys at once, and fails where diskcache tries without end.

    A lock outlasts every wait when its holder is stopped, and a disk may be read-only for good.
    """

    # Private, and so not in diskcache's stubs.
    _check_writable: Any
    _cull: Any
    _disk: Any

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values there are, by key."""
        found: dict[str, Any] = {}
        for some in _batches(keys):
            rows = self._sql(_for(READ_SQL, some), (*some, time.time())).fetchall()
            for key, mode, value in rows:
                held = value if mode == MODE_RAW else self.get(key)
                if held is not None:
                    found[key] = held
        return found

    def set_many(self, values: Mapping[str, Any], seconds: float | None) -> None:
        """Set all of ``values`` with one time to live; 500 keys are one transaction."""
        self._check_writable()
        for some in _batches(values):
            short = [key for key in some if self._is_short(values[key])]
            with self._transact() as (sql, remove):
                now = time.time()
                until = None if seconds is None else now + seconds
                _remove_files(sql, remove, short)
                rows = [(key, now, until, now, MODE_RAW, values[key]) for key in short]
                self._con.executemany(SET_SQL, rows)
                for key in set(some).difference(short):
                    self.set(key, values[key], expire=seconds)
                # As many as come, so that those which have expired do not add up.
                self._cull(now, sql, remove, len(some))

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete what there is of ``keys``; 500 of them are one transaction."""
        self._check_writable()
        for some in _batches(keys):
            with self._transact() as (sql, remove):
                _remove_files(sql, remove, some)
                sql(_for(DELETE_SQL, some), some)

    def _is_short(self, value: object) -> bool:
        """Tell whether diskcache keeps ``value`` in its row as it is."""
        return isinstance(value, str) and len(value) < self._disk.min_file_size

    # Private, too; but it is what every write goes through.
    @contextmanager
    def _transact(self, retry: bool = False, filename: str | None = None) -> Iterator[Any]:  # noqa: ARG002 - passed by position
        try:
            with super()._transact(False, filename) as transaction:  # type: ignore[misc]  # private
                yield transaction
        except Timeout as error:
            raise Timeout(f"{self.directory} is locked or read-only") from error


class EmbeddedCache(DjangoCache):
    """A Django cache in a folder. One store a process is shared by its threads."""

    def __init__(self, directory: str, params: dict[str, Any]) -> None:
        super(DjangoCache, self).__init__(params)
        self._cache = _store(str(directory))

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        """Return the values there are, by key."""
        names = {self.make_key(key, version=version): key for key in keys}
        found = self._cache.get_many(names)
        return {key: found[name] for name, key in names.items() if name in found}

    def set_many(
        self,
        data: Mapping[str, Any],
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[str]:
        """Set all of ``data`` with one ``timeout`` in seconds."""
        values = {self.make_key(key, version=version): value for key, value in data.items()}
        self._cache.set_many(values, self.get_backend_timeout(timeout))  # type: ignore[no-untyped-call]  # untyped in Django's stubs
        return []

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> None:
        """Delete all of ``keys``."""
        self._cache.delete_many([self.make_key(key, version=version) for key in keys])

    def transact(self) -> AbstractContextManager[None]:
        """Make one transaction of what is written inside."""
        return self._cache.transact()

    def close(self, **_: object) -> None:
        """Keep the store open: Django calls this after each request, opening costs milliseconds."""


@cache
def _store(directory: str) -> Store:
    return Store(
        directory,
        timeout=LOCK_SECONDS,
        disk=SafeDisk,
        eviction_policy="none",
        # A batch of answers stays in the database instead of becoming a file of its own.
        disk_min_file_size=2**22,
        # Memory of every process: an eighth of diskcache's own pages, and no map of the file, with
        # which reads among 200,000 entries are 2 % faster.
        sqlite_cache_size=2**10,
        sqlite_mmap_size=0,
    )


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    listed = list(keys)
    for start in range(0, len(listed), TRANSACTION_KEYS):
        yield listed[start : start + TRANSACTION_KEYS]


def _remove_files(sql: Any, remove: Any, keys: list[str]) -> None:
    """Remove, once the transaction has committed, the files of values that are about to go."""
    for (filename,) in sql(_for(FILES_SQL, keys), keys).fetchall():
        remove(filename)


def _for(statement: str, keys: list[str]) -> str:
    return statement.format(marks=", ".join("?" * len(keys)))
