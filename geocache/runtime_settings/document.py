"""What the admin has changed, as one short-lived document in the cache.

Of all processes on one cache, one reads the table once in ``SECONDS``. The others read this.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from geocache.cache.embedded import EmbeddedCache
from geocache.cache.guard import guarded
from geocache.exceptions import CacheUnavailable
from geocache.models.connection import database_id

SECONDS: Final = 4
# The key begins so, then has the id of the database: sites may share a cache.
KEYS: Final = "s:"


def read() -> dict[str, Any] | None:
    """Return the values by name; None where the document has expired or cannot be read."""
    try:
        with guarded() as backend:
            text = backend.get(_key())
        return None if text is None else msgspec.json.decode(text, type=dict[str, Any])
    except (CacheUnavailable, msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        # Each process reads the table by itself.
        return None


def replace(values: Mapping[str, Any]) -> None:
    """Have all processes read ``values``, which were changed just now."""
    _store(values, is_newest=True)


def offer(values: Mapping[str, Any]) -> None:
    """Have other processes read what this one has read from the table.

    Not instead of a document that is there: it may be of a change that was made meanwhile.
    """
    _store(values, is_newest=False)


def _store(values: Mapping[str, Any], *, is_newest: bool) -> None:
    try:
        text = msgspec.json.encode(values).decode()
        with guarded() as backend:
            if isinstance(backend, EmbeddedCache) and backend.is_unused():
                # The first answer makes it; reading settings does not.
                return
            (backend.set if is_newest else backend.add)(_key(), text, timeout=SECONDS)
    except (CacheUnavailable, ValueError, RecursionError):
        # The document that is there expires. A row that was written by hand may hold what no
        # document can: each process then reads the table by itself.
        return


def _key() -> str:
    return f"{KEYS}{database_id()}"
