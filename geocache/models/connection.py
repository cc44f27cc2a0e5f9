"""The database that rows are written to: its name, what it raises, a connection that is broken."""

import uuid
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

from django.core.signals import setting_changed
from django.db import DatabaseError, InterfaceError, connections, router

from geocache.models.answers import GeoCache

# The second is what a driver raises on a connection that is closed.
DATABASE_ERRORS: Final = (DatabaseError, InterfaceError)

# A database in memory belongs to one process.
_PROCESS: Final = uuid.uuid4().hex


def database_id() -> str:
    """Return six hexadecimal digits that keys of the journal and of hot entries begin with.

    A test run, a copy of a site and another project have other databases, and may share the cache.
    Made of the name alone: one database has several hosts, as a pooler, a socket, or a new primary.
    """
    return _digest(str(connections.settings[_writing_alias()]["NAME"]))


def drop_broken_connection() -> None:
    """Close the connection if an error has broken it, so that the next query opens another.

    Django does that between requests; other processes that run for long have none.
    """
    connection = connections[router.db_for_write(GeoCache)]
    is_open = connection.connection is not None and not connection.in_atomic_block
    if is_open and connection.errors_occurred and not connection.is_usable():
        connection.close()


@cache
def _writing_alias() -> str:
    return router.db_for_write(GeoCache)


@lru_cache(maxsize=8)
def _digest(name: str) -> str:
    if connections[_writing_alias()].vendor == "sqlite":
        is_in_memory = ":memory:" in name or "mode=memory" in name
        name = f"{name} {_PROCESS}" if is_in_memory else str(Path(name).resolve())
    return blake2b(name.encode(), digest_size=3).hexdigest()


def _forget(*, setting: str, **_: object) -> None:
    if setting in ("DATABASES", "DATABASE_ROUTERS"):
        _writing_alias.cache_clear()
        _digest.cache_clear()


setting_changed.connect(_forget, dispatch_uid="geocache.models.connection")
