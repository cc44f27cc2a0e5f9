import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from geocache.exceptions import InvalidAddress
from geocache.location import NEVER_SEEN, Details
from geocache.models import GeoCache, ListedAddress
from geocache.models import upsert as upsert_module
from geocache.models.answers import SELDOM
from tests.factories import LONDON, MOSCOW_V6, NOON, a_location, a_row, many_locations
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(microseconds=1)
EARLIER = NOON - timedelta(microseconds=1)

needs_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="needs PostgreSQL as the database"
)


@pytest.fixture(params=["native", "copied", "psycopg2", "portable"], autouse=True)
def way(request, monkeypatch):
    """Each database's own statement, PostgreSQL's for many rows, and one for any database."""
    if request.param in ("copied", "psycopg2"):
        if connection.vendor != "postgresql":
            pytest.skip("only PostgreSQL copies")
        monkeypatch.setattr(upsert_module, "COPY_ROWS", 1)
    if request.param == "psycopg2":
        # Its cursors do not copy so.
        monkeypatch.delattr("psycopg.Cursor.copy")
    if request.param == "portable":
        monkeypatch.setattr(connection, "vendor", "unheard of")
    return request.param


def test_upsert__inserts_what_is_new():
    GeoCache.objects.upsert([a_location(), a_location(MOSCOW_V6, asn=5)])
    assert {row.to_location() for row in GeoCache.objects.all()} == {
        a_location(),
        a_location(MOSCOW_V6, asn=5),
    }


def test_upsert__of_nothing_does_nothing(django_assert_num_queries):
    with transaction.atomic(), django_assert_num_queries(2):  # its savepoint
        GeoCache.objects.upsert([])
    assert not GeoCache.objects.exists()


def test_upsert__a_newer_answer_replaces_every_field():
    full = {"region": "England", "latitude": 51.5, "longitude": 0.1, "accuracy_radius_km": 5}
    a_row(LONDON, **full, asn=64500, organization="Old", time_zone="Europe/London")
    newer = a_location(LONDON, city="", network="", reason="not_found", resolved_at=LATER)
    GeoCache.objects.upsert([newer])
    assert GeoCache.objects.get().to_location() == newer


def test_upsert__an_answer_of_the_same_moment_replaces():
    a_row(LONDON, city="First")
    assert a_row(LONDON, city="Second").city == "Second"


def test_upsert__an_older_answer_never_replaces():
    before = a_row(LONDON, city="Newer")
    assert a_row(LONDON, city="Older", resolved_at=EARLIER).to_location() == before.to_location()


def test_upsert__the_first_moment_is_kept():
    a_row(LONDON, resolved_at=EARLIER)
    row = a_row(LONDON, resolved_at=LATER)
    assert (row.created_at, row.resolved_at) == (EARLIER, LATER)


def test_upsert__twice_changes_nothing():
    locations = many_locations(50)
    for _ in range(2):
        GeoCache.objects.upsert(locations)
        assert [row.to_location() for row in GeoCache.objects.order_by("sort_key")] == locations


def test_upsert__of_one_batch_each_row_is_judged_for_itself():
    a_row("20.0.0.1", city="Kept", resolved_at=LATER)
    a_row("20.0.0.2", city="Replaced", resolved_at=EARLIER)
    GeoCache.objects.upsert(a_location(f"20.0.0.{n}", city="Given") for n in (1, 2, 3))
    cities = dict(GeoCache.objects.values_list("address", "city"))
    assert cities == {"20.0.0.1": "Kept", "20.0.0.2": "Given", "20.0.0.3": "Given"}


@pytest.mark.slow
def test_upsert__more_rows_than_any_chunk():
    count = upsert_module.CHUNK_ROWS * 2 + 1
    GeoCache.objects.upsert(many_locations(count, resolved_at=EARLIER))
    GeoCache.objects.upsert(many_locations(count, city="Replaced"))
    assert GeoCache.objects.filter(city="Replaced", created_at=EARLIER).count() == count


def test_upsert__spelling_of_an_address_does_not_matter():
    """A record from elsewhere must not stop all flushes, nor become a second row."""
    GeoCache.objects.upsert([a_location("2A02:6B8:0::0001", city="Loud")])
    assert GeoCache.objects.get().address == MOSCOW_V6
    GeoCache.objects.upsert(
        [a_location(MOSCOW_V6), a_location("2A02:6B8::1", city="Newest", resolved_at=LATER)]
    )
    assert GeoCache.objects.get().city == "Newest"


def test_upsert__what_is_no_address_is_refused_and_nothing_is_written():
    with pytest.raises(InvalidAddress):
        GeoCache.objects.upsert([a_location(), a_location("nonsense")])
    assert not GeoCache.objects.exists()


def test_upsert__text_is_stored_as_it_is():
    strange = "Zürich '\"%s {0} \\ \N{GRINNING FACE}\n; DROP TABLE geocache_geocache; --"
    assert a_row(LONDON, city=strange, organization="NULL", region="{}").city == strange
    assert a_row(LONDON, organization="", region="").organization == ""


@needs_postgresql
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("city", "x" * 201),
        ("country_code", "GBR"),
        ("reason", "x" * 21),
        ("network", "x" * 44),
        ("city", "a\0b"),
        ("asn", 2**63),
        ("asn", 10**400),
        ("accuracy_radius_km", 2**15),
        ("latitude", 10**400),
    ],
)
def test_upsert__postgresql_refuses_what_does_not_fit_and_cuts_nothing(way, name, value):
    if (way, name, value) == ("portable", "latitude", 10**400):
        pytest.skip("Django itself refuses it, as OverflowError")
    with pytest.raises(DataError), transaction.atomic():
        GeoCache.objects.upsert([a_location("20.0.0.1"), a_location(LONDON, **{name: value})])
    assert not GeoCache.objects.exists()


@needs_postgresql
def test_upsert__postgresql_refuses_a_negative_radius():
    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        GeoCache.objects.upsert([a_location(LONDON, accuracy_radius_km=-1)])


@pytest.mark.skipif(connection.vendor != "sqlite", reason="needs SQLite as the database")
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"], ids=str)
@pytest.mark.parametrize("offset", [UTC, timezone(timedelta(hours=2, minutes=30))], ids=str)
@pytest.mark.parametrize("moment", [NOON, LATER], ids=str)
def test_upsert__sqlite_gets_the_text_that_django_writes(monkeypatch, zone, offset, moment):
    monkeypatch.setattr(connection, "timezone", ZoneInfo(zone) if zone else UTC)
    given = moment.astimezone(offset)
    GeoCache.objects.upsert([a_location(LONDON, resolved_at=given)])
    day = given.astimezone(UTC).date()
    GeoCache(address=MOSCOW_V6, resolved_at=given, created_at=given, last_seen_on=day).save()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT resolved_at || '', created_at || '', last_seen_on || '' FROM geocache_geocache"
        )
        by_upsert, by_django = cursor.fetchall()
    assert by_upsert == by_django


@pytest.mark.skipif(connection.vendor != "sqlite", reason="needs SQLite as the database")
def test_upsert__sqlite_keeps_a_long_text_whole():
    assert a_row(LONDON, city="x" * 5000).city == "x" * 5000


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_upsert__at_once_in_opposite_order_does_not_deadlock(way):
    """All threads write the same rows, every other one in the opposite order."""
    if way == "portable":
        pytest.skip("the vendor is patched for this thread's connection only")
    locations = many_locations(500)
    barrier = threading.Barrier(4)

    def work(thread):
        given = locations if thread % 2 else locations[::-1]
        try:
            for _ in range(10):
                barrier.wait(timeout=30)
                GeoCache.objects.upsert(given)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert GeoCache.objects.count() == 500


def last_seen_on(address=LONDON):
    return GeoCache.objects.get(address=address).last_seen_on


def test_upsert__a_new_answer_is_asked_for_on_its_day():
    a_row(LONDON)
    assert last_seen_on() == NOON.date()
    a_row(LONDON, resolved_at=NOON + timedelta(days=3))
    assert last_seen_on() == NOON.date() + timedelta(days=3)


def test_upsert__the_day_of_asking_is_never_lowered():
    later = NOON.date() + timedelta(days=9)
    a_row(LONDON)
    GeoCache.objects.update(last_seen_on=later)
    for days in (3, -3):
        a_row(LONDON, resolved_at=NOON + timedelta(days=days))
        assert last_seen_on() == later


def test_upsert__what_is_renewed_keeps_the_day_of_asking():
    a_row(LONDON)
    row = a_row(LONDON, city="Renewed", resolved_at=NOON + timedelta(days=9), is_renewed=True)
    assert (row.city, row.last_seen_on) == ("Renewed", NOON.date())


def test_upsert__what_is_renewed_without_a_row_was_never_asked_for():
    assert a_row(LONDON, is_renewed=True).last_seen_on == NEVER_SEEN


@needs_postgresql
def test_upsert__may_copy_twice_in_one_transaction():
    with transaction.atomic():
        GeoCache.objects.upsert(many_locations(600))
        GeoCache.objects.upsert(many_locations(1200, 600))
    assert GeoCache.objects.count() == 1200


@needs_postgresql
def test_upsert__without_the_right_to_temporary_tables_writes_all_the_same():
    user, name = connection.settings_dict["USER"], connection.settings_dict["NAME"]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE ROLE geocache_without_rights")
        cursor.execute(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO geocache_without_rights")
        cursor.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO geocache_without_rights")
        cursor.execute("SET LOCAL ROLE geocache_without_rights")
        GeoCache.objects.upsert(many_locations(600))
        cursor.execute(f'SET LOCAL ROLE "{user}"')
        assert GeoCache.objects.count() == 600
        transaction.set_rollback(True)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="others keep what they have sent")
def test_upsert__a_tool_that_shows_statements_is_not_an_error():
    """As the SQL panel of django-debug-toolbar does, for one row and for many."""
    shown = []

    def show(execute, sql, params, many, context):
        try:
            return execute(sql, params, many, context)
        finally:
            shown.append(connection.ops.last_executed_query(context["cursor"], sql, params))

    with connection.execute_wrapper(show):
        GeoCache.objects.upsert([a_location(), a_location("20.0.0.1")])
        imported("20.0.0.1", "20.0.0.2")
    assert GeoCache.objects.count() == 2
    assert ListedAddress.objects.count() == 2
    assert any("ON CONFLICT" in one for one in shown)


RARE = {
    "isp": "Test",
    "domain": "example.com",
    "connection_type": "Cellular",
    "user_type": "business",
    "mobile_country_code": "234",
    "mobile_network_code": "10",
    "traits": ("anonymous", "anonymous_vpn"),
    "details": Details.of({"user_count": 3}),
}


def test_upsert__a_newer_answer_takes_away_what_it_does_not_say():
    row = a_row(LONDON, **RARE)
    assert row.to_location() == a_location(**RARE)
    assert {*RARE} == {*SELDOM}
    newer = a_location(resolved_at=LATER)
    GeoCache.objects.upsert([newer, a_location(MOSCOW_V6)])
    assert GeoCache.objects.get(address=LONDON).to_location() == newer


def test_upsert__some_rows_say_more_than_others():
    plain, rich = many_locations(3), many_locations(6, 3, **RARE)
    GeoCache.objects.upsert([*plain, *rich])
    assert {row.to_location() for row in GeoCache.objects.all()} == {*plain, *rich}
    GeoCache.objects.upsert([a_location(one.address) for one in rich])
    assert GeoCache.objects.filter(traits="").count() == 6


def test_upsert__what_is_said_seldom_is_not_sent_where_nothing_is_said(way):
    if way in ("portable", "psycopg2"):
        pytest.skip("another cursor, or Django, which sends each column")
    with CaptureQueriesContext(connection) as queries:
        GeoCache.objects.upsert([a_location()])
    (sent,) = [one["sql"] for one in queries if "INSERT" in one["sql"]]
    assert "organization" in sent.split(")")[0]
    assert "user_type" not in sent.split(")")[0]
