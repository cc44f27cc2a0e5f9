import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from geocache.journal import reader, writer
from geocache.journal.flush import flush_dirty
from geocache.journal.recorder import record
from geocache.location import Location
from geocache.maintenance.forget import forget
from geocache.maintenance.prune import prune
from geocache.models import AnswerHistory, GeoCache, answers, history
from geocache.models.changes import KINDS
from tests.factories import LONDON, NOON, a_location, a_row, many_locations, use_dummy_provider

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
OTHER = "9.9.9.9"

needs_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="needs PostgreSQL as the database"
)


class Killed(BaseException):
    """Stands in for SIGKILL: nothing of ours catches it."""


@pytest.fixture(params=["native", "portable"])
def way(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each database's own upsert, and the one that any database understands."""
    if request.param == "portable":
        monkeypatch.setattr(connection, "vendor", "unheard of")
    return str(request.param)


def kept(address: str = LONDON) -> list[tuple[str, str, int, int]]:
    """Country and city of the past, and for which days after ``NOON`` they were valid."""
    rows = AnswerHistory.objects.filter(address=address).order_by("valid_until")
    return [
        (one.country_code, one.city, (one.valid_from - NOON).days, (one.valid_until - NOON).days)
        for one in rows
    ]


def moved(days: int, address: str = LONDON, **fields: Any) -> None:
    a_row(address, resolved_at=NOON + days * DAY, **fields)


@pytest.mark.usefixtures("way")
def test_keep_changed__first_answer_and_the_same_again_are_no_change() -> None:
    moved(0)
    moved(1, network="81.2.69.128/25", postal_code="E1", source="Dummy 2", latitude=1.0)
    assert kept() == []


@pytest.mark.usefixtures("way")
def test_keep_changed__one_span_ends_where_the_next_begins() -> None:
    moved(0)
    moved(1)
    moved(5, city="Leeds")
    moved(6, city="Leeds")
    moved(9, country_code="FR", city="Paris")
    moved(11, country_code="", city="", reason="not_found")
    assert kept() == [
        ("GB", "London", 0, 5),
        ("GB", "Leeds", 5, 9),
        ("FR", "Paris", 9, 11),
    ]
    first = AnswerHistory.objects.earliest("valid_until")
    assert first.to_location() == a_location(resolved_at=NOON + DAY, continent_code="EU")
    assert (first.new_country_code, first.new_city) == ("GB", "Leeds")


@pytest.mark.usefixtures("way")
def test_keep_changed__operator_is_kept_before_and_afterwards() -> None:
    moved(0, asn=64500, organization="Old")
    moved(1, asn=64501, organization="New")
    one = AnswerHistory.objects.get()
    assert (one.asn, one.organization, one.new_asn, one.new_organization) == (
        64500,
        "Old",
        64501,
        "New",
    )


@pytest.mark.usefixtures("way")
def test_keep_changed__kinds_and_all_that_took_its_place_are_kept() -> None:
    before = {"region_code": "ENG", "region": "England", "traits": ("hosting",), "asn": 1}
    moved(0, **before)
    moved(1, city="Cardiff", region_code="WLS", region="Wales", traits=("tor", "vpn"), asn=1)
    one = AnswerHistory.objects.get()
    assert set(one.kinds) == {"region", "city", "traits"}
    assert one.change_kinds == ("region", "city", "traits")
    assert (one.region_code, one.region, one.traits) == ("ENG", "England", ("hosting",))
    assert (one.new_region_code, one.new_region, one.new_traits) == (
        "WLS",
        "Wales",
        ("tor", "vpn"),
    )


@pytest.mark.usefixtures("way")
def test_keep_changed__becomes_a_vpn_exit_and_is_none_any_more() -> None:
    moved(0, source="City 2026-01-01")
    moved(1, source="City 2026-01-08", traits=("anonymous_vpn",))
    moved(2, source="City 2026-01-15")
    rows = AnswerHistory.objects.order_by("valid_until")
    assert [(one.kinds, one.new_traits) for one in rows] == [
        (("traits",), ("anonymous_vpn",)),
        (("traits",), ()),
    ]


CITY_AND_VPNS = "City 2026-01-08, Anonymous-IP 2026-01-07"


@pytest.mark.usefixtures("way")
def test_keep_changed__of_a_database_that_names_only_vpn_exits() -> None:
    moved(0, source="City 2026-01-01")
    moved(0, OTHER, source="City 2026-01-01")
    # The product is new.
    moved(1, traits=("anonymous_vpn",), source=CITY_AND_VPNS)
    assert kept() == []
    moved(1, OTHER, source="City 2026-01-08")
    moved(2, OTHER, traits=("anonymous_vpn",), source=CITY_AND_VPNS)
    moved(2, source="City 2026-01-08")
    assert (len(kept()), len(kept(OTHER))) == (1, 1)
    assert AnswerHistory.objects.of_kind("traits").count() == 2
    assert GeoCache.objects.get(address=OTHER).traits == ("anonymous_vpn",)


def test_upsert__asks_for_no_sources_where_no_answer_has_traits() -> None:
    with CaptureQueriesContext(connection) as bare:
        GeoCache.objects.upsert(many_locations(10))
    assert not any("traitsource" in one["sql"] for one in bare.captured_queries)
    with CaptureQueriesContext(connection) as of_traits:
        GeoCache.objects.upsert(many_locations(20, 10, traits=("anycast",)))
    assert sum("traitsource" in one["sql"] for one in of_traits.captured_queries) == 2


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"city": "Berlin (Mitte)"}, {"city": "Berlin (Wedding)"}),
        (
            {"city": "Munich", "latitude": 48.137, "longitude": 11.575},
            {"city": "Schwabing", "latitude": 48.16, "longitude": 11.58},
        ),
        ({"asn": 3320, "organization": "DTAG"}, {"asn": 3320, "organization": "Telekom"}),
        ({}, {"region": "England", "region_code": "ENG", "asn": 1}),
    ],
)
def test_keep_changed__another_name_of_the_same_is_no_change(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    moved(0, **old)
    moved(1, **new)
    assert kept() == []
    assert GeoCache.objects.get().city == new.get("city", "London")


def an_entry_of_the_release_before(**fields: Any) -> AnswerHistory:
    """It wrote no kinds, and neither region nor traits that came afterwards."""
    common = {"country_code": "GB", "city": "London", "asn": 1, "organization": "A"}
    new = {f"new_{name}": value for name, value in common.items()}
    given = common | new | {"address": LONDON, "region": "England", "traits": ("vpn",)} | fields
    times = {"resolved_at": NOON, "valid_from": NOON, "valid_until": NOON}
    entry: AnswerHistory = AnswerHistory.objects.create(**given | times)
    return entry


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"new_country_code": "FR"}, ["country"]),
        ({"new_country_code": ""}, ["country"]),
        ({"new_city": "Leeds"}, ["city"]),
        ({"new_city": ""}, ["city"]),
        ({"new_asn": 2}, ["operator"]),
        ({"new_asn": None}, ["operator"]),
        ({"new_organization": "B"}, ["operator"]),
        ({"asn": None, "city": "", "organization": "", "new_country_code": "FR"}, ["country"]),
        ({"new_country_code": "FR", "new_city": "Paris"}, ["country", "city"]),
    ],
)
def test_of_kind__entries_of_the_release_before(fields: Any, expected: list[str]) -> None:
    entry = an_entry_of_the_release_before(**fields)
    entry.refresh_from_db()
    assert list(entry.change_kinds) == expected
    assert [kind for kind in KINDS if AnswerHistory.objects.of_kind(kind).exists()] == expected


@needs_postgresql
@pytest.mark.parametrize("kind", ["region", "traits"])
def test_of_kind__what_is_rare_has_an_index(kind: str) -> None:
    rows = AnswerHistory.objects.of_kind(kind).order_by("-valid_until", "-address")[:50]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert f"geocache_former_{kind}" in rows.explain()


def test_of_kind__entries_with_kinds() -> None:
    moved(0, asn=1)
    moved(1, asn=2)
    moved(2, asn=3, city="Leeds")
    found = {kind: AnswerHistory.objects.of_kind(kind).count() for kind in KINDS}
    assert found == {"country": 0, "region": 0, "city": 1, "operator": 2, "traits": 0}
    assert AnswerHistory.objects.of_kind("mood").count() == 0


@pytest.mark.usefixtures("way")
def test_keep_changed__older_answer_after_a_newer_one_changes_nothing() -> None:
    moved(5)
    moved(1, city="Leeds")
    moved(5, city="York")  # of the same moment: a correction
    assert kept() == []
    assert GeoCache.objects.get().city == "York"


@pytest.mark.usefixtures("way")
def test_keep_changed__same_records_again_make_no_second_entry() -> None:
    moved(0)
    for _ in range(2):
        moved(5, city="Leeds")
    assert kept() == [("GB", "London", 0, 5)]


@pytest.mark.usefixtures("way")
def test_upsert__row_that_is_gone_before_its_change_is_written_is_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find_and_lose(*args: Any) -> Any:
        changed = history.find_changed(*args)
        GeoCache.objects.all().delete()
        return changed

    moved(0)
    monkeypatch.setattr(answers, "find_changed", find_and_lose)
    moved(5, city="Leeds")

    row = GeoCache.objects.get()
    assert (row.city, row.resolved_at, row.created_at) == ("Leeds", NOON + 5 * DAY, NOON + 5 * DAY)
    assert kept() == []


@pytest.mark.usefixtures("way")
def test_keep_changed__in_a_batch_of_more_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "CHUNK_ADDRESSES", 10)
    old = many_locations(35)
    GeoCache.objects.upsert(old)
    new = many_locations(45, city="Leeds", resolved_at=NOON + DAY)
    GeoCache.objects.upsert(new)
    assert set(AnswerHistory.objects.values_list("address", flat=True)) == {
        one.address for one in old
    }


def test_find_changed__new_rows_cost_one_query_a_chunk(django_assert_num_queries: Any) -> None:
    rows = {one.address: answers.row_of(one) for one in many_locations(2001)}
    # PostgreSQL takes 10,000 addresses at a time.
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 3):
        assert history.find_changed(connection, GeoCache, answers.ROW_FIELDS, rows) == {}


def test_keep_changed__write_through_keeps_too(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BACKLOG_LIMIT": 0}
    moved(0)
    record([a_location(city="Leeds", resolved_at=NOON + DAY)])
    flush_dirty()
    assert kept() == [("GB", "London", 0, 1)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["upsert", "forget"])
@pytest.mark.django_db(transaction=True)
def test_flush_dirty__killed_at_a_step_keeps_the_old_answer_once(
    monkeypatch: pytest.MonkeyPatch, name: str, when: str
) -> None:
    owner: Any = type(GeoCache.objects) if name == "upsert" else reader
    moved(0)
    writer.append([a_location(city="Leeds", resolved_at=NOON + 5 * DAY)])
    original = getattr(owner, name)

    def killed(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            original(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            flush_dirty()
    # Before the commit neither is there, behind it both are.
    assert bool(kept()) == (GeoCache.objects.get().city == "Leeds") == (name == "forget")

    flush_dirty()

    assert kept() == [("GB", "London", 0, 5)]


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_keep_changed__two_flushers_with_the_same_change_keep_it_once() -> None:
    GeoCache.objects.upsert(many_locations(200))
    barrier = threading.Barrier(2)

    def work(thread: int) -> None:
        try:
            for number in range(1, 6):
                given = many_locations(200, city=f"City {number}", resolved_at=NOON + number * DAY)
                barrier.wait(timeout=30)
                GeoCache.objects.upsert(given if thread else given[::-1])
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))

    assert AnswerHistory.objects.count() == 5 * 200
    assert kept("20.0.0.7") == [
        ("GB", city, number, number + 1)
        for number, city in enumerate(["London", *(f"City {number}" for number in range(1, 5))])
    ]


@needs_postgresql
@pytest.mark.parametrize("is_first_new", [False, True])
@pytest.mark.django_db(transaction=True)
def test_upsert__who_waits_for_a_row_holds_none_behind_it(is_first_new: bool) -> None:
    first, changed, new = (f"20.0.0.{number}" for number in (1, 2, 3))
    moved(0, changed)
    if not is_first_new:
        moved(0, first)
    given = [
        a_location(first, resolved_at=NOON + DAY),
        a_location(changed, city="Leeds", resolved_at=NOON + DAY),
        a_location(new, resolved_at=NOON + DAY),
    ]

    def work() -> None:
        try:
            GeoCache.objects.upsert(given)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
            moved(0, first)
            other = pool.submit(work)
            wait_until_another_waits_for_us()
            # As the other one would, had it come first.
            moved(0, changed)
            moved(0, new)
        other.result()

    assert kept(changed) == [("GB", "London", 0, 1)]
    assert GeoCache.objects.filter(resolved_at=NOON + DAY).count() == 3


def wait_until_another_waits_for_us() -> None:
    patience_ends_at = time.monotonic() + 30
    waiting = "SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    with connection.cursor() as cursor:
        while not cursor.execute(waiting).fetchone()[0]:
            assert time.monotonic() < patience_ends_at, "nobody waits"


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_upsert__at_once_with_different_changes_and_the_same_new_rows_does_not_deadlock() -> None:
    GeoCache.objects.upsert(many_locations(200, city="City 0"))
    barrier = threading.Barrier(2)

    def given(thread: int, number: int) -> list[Location]:
        """Every row, changed if it is this thread's to change, and 100 that are new."""
        at = NOON + number * DAY
        row_count = 100 + 100 * number
        changed = many_locations(row_count, city=f"City {number}", resolved_at=at + DAY / 2)
        same = many_locations(row_count, city=f"City {number - 1}", resolved_at=at)
        new = many_locations(row_count + 100, row_count, city=f"City {number}", resolved_at=at)
        mine = [changed[row] if row % 2 == thread else same[row] for row in range(row_count)]
        return mine + new

    def work(thread: int) -> None:
        try:
            for number in range(1, 11):
                locations = given(thread, number)
                barrier.wait(timeout=30)
                GeoCache.objects.upsert(locations)
        except threading.BrokenBarrierError:
            return  # The other one has failed, and says why.
        except DatabaseError:
            barrier.abort()
            raise
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))

    assert AnswerHistory.objects.count() == sum(100 + 100 * number for number in range(1, 11))


@pytest.mark.django_db(transaction=True)
def test_forget__the_past_goes_too(settings: Any) -> None:
    use_dummy_provider(settings)
    for address in (LONDON, OTHER):
        moved(0, address)
        moved(5, address, city="Leeds")
    assert forget([LONDON]) == 1
    assert (kept(LONDON), len(kept(OTHER))) == ([], 1)


@pytest.mark.django_db(transaction=True)
def test_prune__the_past_goes_with_its_row(settings: Any) -> None:
    use_dummy_provider(settings)
    for address in (LONDON, OTHER):
        moved(0, address)
        moved(5, address, city="Leeds")
    asked_long_ago = datetime(2020, 1, 1).date()
    GeoCache.objects.filter(pk=LONDON).update(last_seen_on=asked_long_ago)
    GeoCache.objects.filter(pk=OTHER).update(last_seen_on=datetime.now(UTC).date())
    assert prune(days=30, time_limit_seconds=60).pruned == 1
    assert (kept(LONDON), len(kept(OTHER))) == ([], 1)


def test_changed_between__days_are_those_of_the_time_zone(settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    moved(0)
    a_row(city="Leeds", resolved_at=datetime(2026, 5, 1, 12, 30, tzinfo=UTC))
    rows = AnswerHistory.objects.all()
    second = datetime(2026, 5, 2).date()
    assert rows.changed_between(second, second).exists()
    assert not rows.changed_between(None, second - DAY).exists()
    assert not rows.changed_between(second + DAY, None).exists()
