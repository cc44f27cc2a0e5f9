"""The cache of a test: what the embedded one does, in memory. It can hold the journal."""

import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.cache import BaseCache

from geocache.cache.embedded import EmbeddedCache, make_table


class InProcessCache(EmbeddedCache):
    """One database of SQLite in memory, which all threads of this process use one at a time."""

    def __init__(self) -> None:
        BaseCache.__init__(self, {})
        # Only ever named in messages.
        self.path = Path("memory")
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        make_table(self._connection)
        # Not at the end of the test: a thread of a live server may still be in it.
        weakref.finalize(self, self._connection.close)

    def connection(self) -> sqlite3.Connection:
        return self._connection

    def check(self) -> None:
        """There is no file that could not be opened."""

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        with self._lock:
            return super().get(key, default, version)

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        with self._lock:
            return super().get_many(keys, version)

    def _for_reading(self) -> sqlite3.Connection:
        return self._connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, super()._reading() as connection:
            yield connection

    @contextmanager
    def _transaction(self, new_count: int = 0) -> Iterator[sqlite3.Connection]:
        with self._lock, super()._transaction(new_count) as connection:
            yield connection

    def is_unused(self) -> bool:
        return False

    def _is_replaced(self) -> bool:
        return False
