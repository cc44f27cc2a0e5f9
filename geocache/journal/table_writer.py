"""Write answers to the table in one transaction; rejected rows are isolated by bisection.

A rejected row is put aside as a ``RejectedEntry``, the others are written. A transaction that a
deadlock ended is tried once more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from django.db import DatabaseError, DataError, IntegrityError, OperationalError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from geocache.exceptions import AllRefused, InvalidAddress
from geocache.journal.forgotten import without_forgotten
from geocache.location import EPOCH, Location, dump_locations
from geocache.models import GeoCache, JournalHead, RejectedEntry
from geocache.models.connection import atomic, writing_alias, writing_connection
from geocache.signals import LocationChange
from geocache.text import storable

# An answer of ordinary values, for an address that is never looked up. A database that refuses it
# is broken, or lacks what this release writes.
PROBE: Final = Location(
    address="192.0.2.1",
    resolved_at=EPOCH,
    network="192.0.2.0/24",
    country_code="GB",
    region="England",
    city="London",
    latitude=51.5,
    longitude=-0.1,
    accuracy_radius_km=10,
    asn=64500,
    organization="Test",
    source="Test",
)
# What a database, or the driver before it, raises on a value that it will never take.
REFUSALS: Final = (DataError, IntegrityError, OverflowError, ValueError, InvalidAddress)
# The same of MariaDB and MySQL, for which mysqlclient raises an OperationalError: a wrong value,
# and text that is invalid, or has a character that the encoding of its column lacks.
REFUSAL_CODES: Final = (1292, 1300, 1366, 1367)
# Another transaction was in the way: PostgreSQL's and MariaDB's codes for a deadlock, and for rows
# that changed since they were read.
RETRYABLE: Final = ("40P01", "40001", 1213, 1020)
# How long PostgreSQL may wait for a lock, in seconds; PostgreSQL waits indefinitely by default.
# No limit to the work itself: what is too slow once is too slow whenever it is tried again.
LOCK_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class Written:
    """How many answers the database accepted and refused, and which rows these have changed."""

    accepted_count: int
    refused_count: int
    changes: list[LocationChange] = field(default_factory=list)


def write(
    locations: Sequence[Location],
    in_same_transaction: Callable[[], None] = lambda: None,
    *,
    is_durable: bool = False,
    are_new: bool = False,
) -> Written:
    """Write answers, and what ``in_same_transaction`` writes, in one transaction.

    Leaves out what was forgotten since it was resolved, unless all of it was resolved just now.

    Raises ``AllRefused`` when the database refuses every answer, and else what the database raises.
    ``is_durable`` refuses to run inside a transaction of the caller.
    """
    connection = writing_connection()
    is_outermost = not connection.in_atomic_block

    def attempt() -> Written:
        refused: list[RejectedEntry] = []
        changes: list[LocationChange] = []
        with atomic(is_durable=is_durable):
            if is_outermost:
                _limit_waiting(connection)
            wanted = list(locations)
            if not are_new:
                JournalHead.lock()
                wanted = without_forgotten(locations)
            accepted_count = _upsert(wanted, refused, changes)
            RejectedEntry.objects.bulk_create(refused)
            in_same_transaction()
        return Written(accepted_count, len(refused), changes)

    try:
        return attempt()
    except OperationalError as error:
        if not is_outermost or not _is_retryable(error):
            raise
    return attempt()


def _limit_waiting(connection: BaseDatabaseWrapper) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")


def _is_refusal(error: Exception) -> bool:
    return not isinstance(error, OperationalError) or error.args[0] in REFUSAL_CODES


def _is_retryable(error: DatabaseError) -> bool:
    # psycopg, and psycopg2.
    codes = (getattr(error.__cause__, name, None) for name in ("sqlstate", "pgcode"))
    return next(filter(None, codes), error.args[0]) in RETRYABLE


def _upsert(
    locations: list[Location],
    refused: list[RejectedEntry],
    changes: list[LocationChange],
    accepted_count: int = 0,
) -> int:
    """Return how many answers were accepted; those refused are found by bisection and appended.

    So are the rows that the others have changed.
    """
    try:
        changes += GeoCache.objects.upsert(locations)
        return accepted_count + len(locations)
    except (*REFUSALS, OperationalError) as error:
        if not _is_refusal(error):
            raise
        if len(locations) == 1:
            if not (accepted_count or refused):
                _probe()
            refused.append(_rejected(locations[0], error))
            return accepted_count
    # One half below the other: the order in which two flushers wait for rows is that of the whole.
    locations = sorted(locations, key=attrgetter("address"))
    middle = len(locations) // 2
    accepted_count = _upsert(locations[:middle], refused, changes, accepted_count)
    return _upsert(locations[middle:], refused, changes, accepted_count)


def _probe() -> None:
    """Raise ``AllRefused`` when the database refuses an ordinary answer too; leave nothing."""
    try:
        with atomic():
            GeoCache.objects.upsert([PROBE])
            transaction.set_rollback(True, using=writing_alias())
    except (*REFUSALS, OperationalError) as error:
        if not _is_refusal(error):
            raise
        raise AllRefused(storable(error).strip()) from error


def _rejected(location: Location, error: Exception) -> RejectedEntry:
    return RejectedEntry(
        address=storable(location.address)[:100],
        record=storable(dump_locations([location])),
        error=storable(error).strip(),
    )
