"""Which database the tables are written to, what it raises, and a connection that it has broken.

A host may route geocache to a database of its own, and reads to replicas. A replica lags: what is
read to decide what is written, is read where it is written.
"""

from contextlib import AbstractContextManager
from typing import Final

from django.apps import apps
from django.db import DatabaseError, InterfaceError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

# The second is what a driver raises on a connection that is closed.
DATABASE_ERRORS: Final = (DatabaseError, InterfaceError)


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


def drop_broken_connection() -> None:
    """Close a connection if an error has broken it, so that the next query opens another.

    Django does that between requests; other processes that run for long have none.
    """
    for alias in {writing_alias(), reading_alias()}:
        connection = connections[alias]
        is_open = connection.connection is not None and not connection.in_atomic_block
        if is_open and connection.errors_occurred and not connection.is_usable():
            connection.close()
