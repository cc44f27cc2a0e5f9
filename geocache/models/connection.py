"""The database that rows are written to: its name, what it raises, a connection that is broken.

A host may route geocache to a database of its own, and reads to replicas. A replica lags: what is
read to decide what is written, is read where it is written.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.apps import apps
from django.core.signals import setting_changed
from django.db import (
    DatabaseError,
    InterfaceError,
    connections,
    models,
    router,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper

# The second is what a driver raises on a connection that is closed.
DATABASE_ERRORS: Final = (DatabaseError, InterfaceError)

# A database in memory belongs to one process.
_PROCESS: Final = uuid.uuid4().hex


class SqliteRows(list[Sequence[Any]]):
    """Rows for ``executemany`` on SQLite, where they are written although they look like none.

    The SQL panel of django-debug-toolbar (8.0, its issue 1069) fills rows into the statement that
    it shows as if they were the values of one, and fails. It leaves alone what is false; SQLite's
    driver iterates. MariaDB's driver would write nothing.
    """

    def __bool__(self) -> bool:
        return False


@cache
def writing_alias() -> str:
    """Return the alias of the database that all tables but ``ApiToken`` are written to."""
    return router.db_for_write(apps.get_model("geocache", "GeoCache"))


def reading_alias() -> str:
    """Return the alias of a database that pages and look-ups read: a replica, if there is one."""
    return router.db_for_read(apps.get_model("geocache", "GeoCache"))


def writing_connection() -> BaseDatabaseWrapper:
    """Return the connection to the database that is written to."""
    return connections[writing_alias()]


def atomic(*, is_durable: bool = False) -> AbstractContextManager[None]:
    """Begin a transaction, or a savepoint of an open one, in the database that is written to.

    ``is_durable`` refuses to run inside a transaction of the caller.
    """
    return transaction.atomic(using=writing_alias(), durable=is_durable)


def after_commit(act: Callable[[], object]) -> None:
    """Call ``act`` once the transaction that is open, if there is any, has committed."""
    connection = writing_connection()
    if connection.in_atomic_block or connection.get_autocommit():
        transaction.on_commit(act, using=connection.alias)
    else:
        # A host that commits by hand: Django does not know when.
        act()


@contextmanager
def savepoint_for_reading(alias: str | None = None) -> Iterator[None]:
    """Let a query fail without breaking the transaction that the caller may have open.

    ``alias`` is the database that is asked; None: the one that pages and look-ups read.
    """
    using = alias or reading_alias()
    if connections[using].in_atomic_block:
        with transaction.atomic(using=using):
            yield
    else:
        yield


def database_id() -> str:
    """Return six hexadecimal digits that keys of the journal and of hot entries begin with.

    A test run, a copy of a site and another project have other databases, and may share the cache.
    Made of the name alone: one database has several hosts, as a pooler, a socket, or a new primary.
    """
    return _digest(str(connections.settings[writing_alias()]["NAME"]))


def is_table_missing(model: type[models.Model]) -> bool:
    """Tell whether ``migrate`` has yet to make a table; False also where that cannot be asked."""
    try:
        connection = writing_connection()
        with savepoint_for_reading(connection.alias):
            return model._meta.db_table not in connection.introspection.table_names()
    except DATABASE_ERRORS:
        return False


def drop_broken_connection() -> None:
    """Close a connection if an error has broken it, so that the next query opens another.

    Django does that between requests; other processes that run for long have none.
    """
    for alias in {writing_alias(), reading_alias()}:
        connection = connections[alias]
        is_open = connection.connection is not None and not connection.in_atomic_block
        if is_open and connection.errors_occurred and not connection.is_usable():
            connection.close()


@lru_cache(maxsize=8)
def _digest(name: str) -> str:
    if writing_connection().vendor == "sqlite":
        is_in_memory = ":memory:" in name or "mode=memory" in name
        # Also of the form "file:/var/geo.sqlite3?mode=rw", which is no path.
        path = unquote(urlsplit(name).path) if name.startswith("file:") else name
        name = f"{name} {_PROCESS}" if is_in_memory else str(Path(path).resolve())
    return blake2b(name.encode(), digest_size=3).hexdigest()


def _forget(*, setting: str, **_: object) -> None:
    if setting in ("DATABASES", "DATABASE_ROUTERS"):
        writing_alias.cache_clear()
        _digest.cache_clear()


setting_changed.connect(_forget, dispatch_uid="geocache.models.connection")
