"""What all processes follow, as one short-lived document in the cache.

Of all processes on one cache, one reads the table once in a few seconds. The others read this.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from geocache.cache.embedded import EmbeddedCache
from geocache.cache.guard import guarded
from geocache.exceptions import CacheUnavailable

T = TypeVar("T")


class Document(Generic[T]):
    """A value of plain JSON types under one key; both are asked for when they are used."""

    def __init__(self, kind: Any, *, key: Callable[[], str], seconds: Callable[[], float]) -> None:
        self._kind = kind
        self._key = key
        self._seconds = seconds

    def read(self) -> T | None:
        """Return the value; None where the document has expired or cannot be read."""
        try:
            with guarded() as backend:
                text = backend.get(self._key())
            value: T | None = None if text is None else msgspec.json.decode(text, type=self._kind)
        except (CacheUnavailable, msgspec.MsgspecError, TypeError, ValueError, RecursionError):
            # Each process reads the table by itself.
            return None
        return value

    def replace(self, value: T) -> None:
        """Have all processes read ``value``, which was changed just now."""
        self._store(value, is_newest=True)

    def offer(self, value: T) -> None:
        """Have other processes read what this one has read from the table.

        Not instead of a document that is there: it may be of a change that was made meanwhile.
        """
        self._store(value, is_newest=False)

    def _store(self, value: T, *, is_newest: bool) -> None:
        try:
            text = msgspec.json.encode(value).decode()
            with guarded() as backend:
                if isinstance(backend, EmbeddedCache) and backend.is_unused():
                    # The first answer makes it; what is followed does not.
                    return
                store = backend.set if is_newest else backend.add
                store(self._key(), text, timeout=self._seconds())
        except (CacheUnavailable, ValueError, RecursionError):
            # The document that is there expires. A row that was written by hand may hold what no
            # document can: each process then reads the table by itself.
            return
