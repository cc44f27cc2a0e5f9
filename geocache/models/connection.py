"""What a database raises, and a connection that it has broken."""

from typing import Final

from django.db import DatabaseError, InterfaceError, connections, router

from geocache.models.answers import GeoCache

# The second is what a driver raises on a connection that is closed.
DATABASE_ERRORS: Final = (DatabaseError, InterfaceError)


def drop_broken_connection() -> None:
    """Close the connection if an error has broken it, so that the next query opens another.

    Django does that between requests; other processes that run for long have none.
    """
    connection = connections[router.db_for_write(GeoCache)]
    is_open = connection.connection is not None and not connection.in_atomic_block
    if is_open and connection.errors_occurred and not connection.is_usable():
        connection.close()
