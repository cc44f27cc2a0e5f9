from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from geocache.exceptions import AllRefused
from geocache.journal import table_writer
from geocache.location import load_locations
from geocache.models import GeoCache, GeoCacheQuerySet, RejectedEntry
from geocache.models.connection import drop_broken_connection
from tests.factories import a_location, a_row, many_locations

pytestmark = pytest.mark.django_db(transaction=True)

only_postgres = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="a fault of PostgreSQL"
)
# No database has so large a number.
REFUSED = a_location("30.0.0.1", asn=2**70)


class Deadlock(Exception):
    sqlstate = "40P01"


def fail_once_with(monkeypatch: pytest.MonkeyPatch, *causes: Exception) -> None:
    """Have the next upserts fail, one for each cause."""
    real, left = GeoCacheQuerySet.upsert, iter(causes)

    def upsert(self: GeoCacheQuerySet, locations: Any) -> Any:
        changes = real(self, locations)
        if cause := next(left, None):
            raise OperationalError("in the way") from cause
        return changes

    monkeypatch.setattr(GeoCacheQuerySet, "upsert", upsert)


def addresses() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def test_write__puts_aside_what_is_refused_and_the_rest_lands() -> None:
    given = many_locations(5)

    written = table_writer.write([*given[:2], REFUSED, *given[2:]])

    assert written == table_writer.Written(accepted_count=5, refused_count=1)
    assert addresses() == {one.address for one in given}
    assert RejectedEntry.objects.get().address == REFUSED.address


def test_write__halves_are_written_in_the_order_of_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, written = GeoCacheQuerySet.upsert, []

    def upsert(self: GeoCacheQuerySet, locations: Any) -> Any:
        changes = real(self, locations)
        written.extend(sorted(one.address for one in locations))
        return changes

    monkeypatch.setattr(GeoCacheQuerySet, "upsert", upsert)
    table_writer.write([REFUSED, *reversed(many_locations(20))])

    assert len(written) == 20
    assert written == sorted(written)


@pytest.mark.parametrize("count", [1, 250])
def test_write__puts_refused_answers_aside_also_when_there_are_no_others(count: int) -> None:
    written = table_writer.write(
        many_locations(count, asn=2**70), lambda: a_row("30.0.0.2") and None
    )

    assert written == table_writer.Written(accepted_count=0, refused_count=count)
    assert RejectedEntry.objects.count() == count
    # And nothing of what was tried to tell whose fault it is.
    assert addresses() == {"30.0.0.2"}


def test_write__stops_early_when_the_database_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def upsert(_: GeoCacheQuerySet, locations: Any) -> None:
        tried.append(len(locations))
        raise ValueError("nothing is taken")

    monkeypatch.setattr(GeoCacheQuerySet, "upsert", upsert)
    with pytest.raises(AllRefused, match="refuses every answer: nothing is taken"):
        table_writer.write(many_locations(10_000), lambda: a_row() and None)

    # One answer, and the one that is tried in its place.
    assert tried.count(1) == 2
    assert not RejectedEntry.objects.exists()


@pytest.fixture
def a_table_that_takes_no_row() -> Iterator[None]:
    """As a later release may leave it: a condition that this one does not know."""
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE geocache_geocache ADD COLUMN of_a_later_release integer DEFAULT 0 "
            "CHECK (of_a_later_release > 0)"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE geocache_geocache DROP COLUMN of_a_later_release")


@pytest.mark.usefixtures("a_table_that_takes_no_row")
def test_write__keeps_answers_that_a_broken_table_refuses() -> None:
    with pytest.raises(AllRefused, match="of_a_later_release"):
        table_writer.write(many_locations(3))

    assert not RejectedEntry.objects.exists()


def test_write__puts_a_refused_answer_aside_in_ascii_and_whole() -> None:
    location = a_location("30.0.0.1", city="Łódź 😀", asn=2**70)

    table_writer.write([location])

    entry = RejectedEntry.objects.get()
    assert entry.record.isascii()
    assert entry.error.isascii()
    assert load_locations(entry.record) == [location]


def test_write__and_what_is_written_also_are_one_transaction() -> None:
    def also() -> None:
        raise DatabaseError("disk I/O error")

    with pytest.raises(DatabaseError):
        table_writer.write([a_location()], also)

    assert not GeoCache.objects.exists()


def test_write__durable_refuses_to_run_inside_a_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        table_writer.write([a_location()], is_durable=True)


@pytest.mark.parametrize("cause", [Deadlock(), None], ids=["PostgreSQL", "MariaDB"])
def test_write__ended_by_a_deadlock_is_tried_once_more(cause: Exception | None) -> None:
    error = OperationalError("Deadlock") if cause else OperationalError(1213, "Deadlock")
    error.__cause__ = cause
    calls = []

    def also() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise error

    assert table_writer.write([a_location()], also).accepted_count == 1
    assert len(calls) == 2
    assert addresses() == {a_location().address}


def test_write__ended_by_two_deadlocks_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_once_with(monkeypatch, Deadlock(), Deadlock())

    with pytest.raises(OperationalError):
        table_writer.write([a_location()])

    assert not GeoCache.objects.exists()


def test_write__ended_by_another_failure_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_once_with(monkeypatch, Exception("disk full"))

    with pytest.raises(OperationalError):
        table_writer.write([a_location()])


def test_write__leaves_it_to_the_caller_to_try_its_own_transaction_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_once_with(monkeypatch, Deadlock())

    with transaction.atomic(), pytest.raises(OperationalError):
        table_writer.write([a_location()])


@only_postgres
def test_write__waits_for_a_lock_for_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    a_row()
    monkeypatch.setattr(table_writer, "LOCK_SECONDS", 1)
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM geocache_geocache FOR UPDATE")
        with pytest.raises(OperationalError, match="lock timeout"):
            table_writer.write([a_location()])
        other.rollback()
    finally:
        other.close()

    # For that transaction only.
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


def test_drop_broken_connection__keeps_one_that_works() -> None:
    GeoCache.objects.exists()
    held = connection.connection
    connection.errors_occurred = True

    drop_broken_connection()

    assert connection.connection is held


def test_drop_broken_connection__drops_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    GeoCache.objects.exists()
    connection.errors_occurred = True
    monkeypatch.setattr(connection, "is_usable", lambda: False)

    drop_broken_connection()

    assert connection.connection is None
    assert not GeoCache.objects.exists()


def test_drop_broken_connection__leaves_a_transaction_to_who_began_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with transaction.atomic():
        connection.errors_occurred = True
        monkeypatch.setattr(connection, "is_usable", lambda: False)

        drop_broken_connection()

        assert connection.connection is not None
