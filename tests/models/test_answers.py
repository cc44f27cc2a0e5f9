import tracemalloc
from datetime import date, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from geocache.addresses import SPECIAL_NETWORKS, sort_key
from geocache.location import FIELDS, NOT_FOUND, UNAVAILABLE
from geocache.models import (
    FlushRun,
    GeoCache,
    JournalHead,
    Reason,
    RejectedEntry,
    answers,
)
from tests.factories import LONDON, MOSCOW_V6, NOON, a_location, a_row, many_locations

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def addresses_in(network):
    return set(GeoCache.objects.in_network(ip_network(network)).values_list("address", flat=True))


@pytest.mark.parametrize("reason", Reason.values)
def test_label_of__each_reason_has_words(reason):
    label = Reason.label_of(reason)
    assert type(label) is str
    assert label
    assert "_" not in label


@pytest.mark.parametrize("reason", ["", "of a later release"])
def test_label_of__unknown_reason_is_shown_as_it_is(reason):
    assert Reason.label_of(reason) == reason


@pytest.mark.slow
@pytest.mark.skipif("connection.vendor == 'mysql'", reason="its driver reads all rows at once")
def test_stream__holds_a_few_rows_at_once():
    count = 20_000
    GeoCache.objects.upsert(many_locations(count))
    tracemalloc.start()
    streamed = sum(1 for _ in GeoCache.objects.order_by("sort_key").stream())
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert streamed == count
    # All at once they are more than 10 MB.
    assert peak_bytes < 5_000_000


def test_stream__gives_answers_in_the_order_of_the_rows():
    locations = [a_location(LONDON, asn=64500, latitude=-1.5), a_location(MOSCOW_V6, reason="x")]
    GeoCache.objects.upsert(locations)
    assert list(GeoCache.objects.order_by("-sort_key").stream()) == sorted(
        locations, key=lambda one: sort_key(ip_address(one.address)), reverse=True
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="needs PostgreSQL")
def test_stream__that_is_broken_off_leaves_no_transaction_open():
    GeoCache.objects.upsert(many_locations(3))
    streamed = GeoCache.objects.order_by("sort_key").stream()
    next(streamed)
    assert connection.in_atomic_block
    streamed.close()
    assert not connection.in_atomic_block


def test_around__nearest_on_either_side_in_order():
    GeoCache.objects.upsert(many_locations(9))
    found = GeoCache.objects.around(ip_address("20.0.0.4"), 2)
    assert [row.address for row in found] == ["20.0.0.2", "20.0.0.3", "20.0.0.5", "20.0.0.6"]
    assert len(GeoCache.objects.around(ip_address("20.0.0.0"), 2)) == 2


def test_unresolved__rows_of_which_nothing_is_known():
    a_row()
    empty = a_row("8.8.8.8", reason=NOT_FOUND)
    assert list(GeoCache.objects.unresolved()) == [empty]


@pytest.mark.parametrize(
    ("first", "last", "is_found"),
    [
        (0, 0, True),
        (None, 0, True),
        (0, None, True),
        (None, None, True),
        (1, None, False),
        (None, -1, False),
        (-1, 1, True),
    ],
)
@pytest.mark.parametrize("hour", [0, 23])
def test_resolved_between__days_are_whole_and_in_the_current_time_zone(
    first, last, is_found, hour, settings
):
    settings.TIME_ZONE = "Europe/Berlin"
    day = date(2026, 3, 29)  # has 23 hours
    at = timezone.make_aware(datetime(2026, 3, 29, hour, 30))
    a_row(resolved_at=at)
    days = [None if step is None else day + timedelta(days=step) for step in (first, last)]
    assert GeoCache.objects.resolved_between(*days).exists() is is_found


def test_sources__each_once_in_order():
    for number, source in enumerate(("B 2", "A 1", "B 2", "")):
        a_row(f"20.0.0.{number}", source=source)
    assert GeoCache.sources() == ["A 1", "B 2"]


# --- GeoCache ----------------------------------------------------------------------------------


def test_geocache__row_and_answer_are_the_same():
    for location in (
        a_location(),
        a_location(MOSCOW_V6, network="2a02:6b8::/32", latitude=55.7, longitude=-0.0),
        a_location("20.0.0.1", reason=NOT_FOUND, country_code="", city="", network=""),
        a_location(
            "20.0.0.2",
            region="Île-de-France",
            city="東京 \N{GRINNING FACE}" + "x" * 196,
            postal_code="x" * 200,
            latitude=-90.0,
            longitude=180.0,
            accuracy_radius_km=2**15 - 1,
            asn=2**32 - 1,
            resolved_at=NOON + timedelta(microseconds=1),
        ),
    ):
        GeoCache.objects.upsert([location])
        assert GeoCache.objects.get(address=location.address).to_location() == location


def test_geocache__has_a_column_for_each_field_of_an_answer():
    columns = {field.name for field in GeoCache._meta.get_fields()}
    assert columns == {*FIELDS, "sort_key", "created_at", "last_seen_on"}


def test_reason__knows_why_an_answer_can_be_empty():
    given = {reason for _, reason in SPECIAL_NETWORKS} | {NOT_FOUND, UNAVAILABLE}
    assert given == set(Reason.values)
    assert all(len(value) <= GeoCache._meta.get_field("reason").max_length for value in given)


# --- queries -----------------------------------------------------------------------------------


def test_fresh__has_one_age_for_found_and_one_for_not_found():
    for address, reason, age in (
        ("20.0.0.1", "", 10),
        ("20.0.0.2", "", 11),
        ("20.0.0.3", NOT_FOUND, 2),
        ("20.0.0.4", NOT_FOUND, 3),
        ("20.0.0.5", UNAVAILABLE, 0),
    ):
        a_row(address, reason=reason, resolved_at=NOON - age * HOUR)
    fresh = GeoCache.objects.fresh(found_since=NOON - 10 * HOUR, not_found_since=NOON - 2 * HOUR)
    assert {row.address for row in fresh} == {"20.0.0.1", "20.0.0.3"}


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("20.1.2.0/24", ["20.1.2.0", "20.1.2.9", "20.1.2.255"], ["20.1.1.255", "20.1.3.0"]),
        ("20.1.2.3/32", ["20.1.2.3"], ["20.1.2.2", "20.1.2.4"]),
        ("20.0.0.0/7", ["20.0.0.0", "21.255.255.255"], ["19.255.255.255", "22.0.0.0"]),
        ("0.0.0.0/0", ["1.0.0.0", "9.9.9.9", "223.255.255.255"], ["2000::1", "2a02:6b8::1"]),
        (
            "2a02:6b8::/32",
            ["2a02:6b8::", "2a02:6b8:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2a02:6b7:ffff:ffff:ffff:ffff:ffff:ffff", "2a02:6b9::", "20.1.2.3"],
        ),
        ("2a02:6b8::1/128", ["2a02:6b8::1"], ["2a02:6b8::", "2a02:6b8::2"]),
        ("2000::/3", ["2000::", "3fff:ffff::"], ["20.1.2.3", "63.255.255.255"]),
    ],
)
def test_in_network__has_exact_bounds(network, inside, outside):
    GeoCache.objects.upsert(map(a_location, inside + outside))
    assert addresses_in(network) == set(inside)


def test_in_network__agrees_with_the_ipaddress_module():
    GeoCache.objects.upsert(many_locations(600))
    for text in ("20.0.0.0/24", "20.0.1.128/25", "20.0.2.0/23", "20.0.0.7/32", "10.0.0.0/8"):
        network = ip_network(text)
        assert addresses_in(text) == {
            one.address for one in many_locations(600) if ip_address(one.address) in network
        }


def test_in_network__is_a_search_in_an_index():
    plan = GeoCache.objects.in_network(ip_network("20.0.0.0/8")).explain()
    assert connection.vendor != "sqlite" or "geocache_sort_key" in plan


def test_covering__finds_rows_of_networks_around_an_address():
    a_row("81.2.69.1", network="81.2.69.0/24")
    a_row("81.2.0.1", network="81.2.0.0/16")
    a_row("81.3.0.1", network="81.3.0.0/16")
    a_row("81.2.69.2", network="")
    a_row(MOSCOW_V6, network="2a02:6b8::/32")
    asked = [ip_address("81.2.69.142"), ip_address("2a02:6b8::ffff")]
    covering = set(GeoCache.objects.covering(asked).values_list("network", flat=True))
    assert covering == {"81.2.69.0/24", "81.2.0.0/16", "2a02:6b8::/32"}
    assert not GeoCache.objects.covering([]).exists()


# --- JournalHead -------------------------------------------------------------------------------


def test_journal_head__is_made_when_it_is_first_asked_for():
    head = JournalHead.of("geocache")
    assert (head.flushed_through, head.deleted_through) == (0, 0)
    assert JournalHead.of("geocache") == head
    assert JournalHead.of("other") != head
    assert str(head) == "geocache: 0"


def test_journal_head__advances_and_never_goes_back():
    JournalHead.of("geocache")
    for position, deleted_through, expected in (
        (5, 0, (5, 0)),
        (3, 4, (5, 4)),
        (2**61, 0, (2**61, 4)),
        (7, 7, (2**61, 7)),
        (0, 0, (2**61, 7)),
    ):
        JournalHead.advance("geocache", flushed_through=position, deleted_through=deleted_through)
        head = JournalHead.of("geocache")
        assert (head.flushed_through, head.deleted_through) == expected


def test_journal_head__of_another_cache_stays():
    JournalHead.of("geocache")
    JournalHead.of("other")
    JournalHead.advance("geocache", flushed_through=5)
    assert JournalHead.of("other").flushed_through == 0


# --- the account -------------------------------------------------------------------------------


def test_flush_run_and_rejected_entry__say_what_they_are_newest_first():
    for minutes in (0, 2, 1):
        FlushRun.objects.create(
            started_at=NOON + timedelta(minutes=minutes),
            seconds=0.5,
            flushed=minutes,
            rejected=0,
            pending=0,
            timed_out=False,
        )
        RejectedEntry.objects.create(
            address=f"20.0.0.{minutes}",
            record="{}",
            error="refused",
            rejected_at=NOON + timedelta(minutes=minutes),
        )
    assert [run.flushed for run in FlushRun.objects.all()] == [2, 1, 0]
    assert str(FlushRun.objects.all()[0]) == "2026-01-02 12:02:00: 2"
    assert list(map(str, RejectedEntry.objects.all())) == ["20.0.0.2", "20.0.0.1", "20.0.0.0"]
    assert str(RejectedEntry(error="x" * 100)) == "x" * 50


def test_geocache__an_address_is_there_once():
    a_row(LONDON)
    with pytest.raises(IntegrityError), transaction.atomic():
        GeoCache.objects.create(
            address=LONDON,
            sort_key=sort_key(ip_address(LONDON)),
            resolved_at=NOON,
            created_at=NOON,
            last_seen_on=NOON.date(),
        )


# --- mark_seen ---------------------------------------------------------------------------------

LATER_DAY = NOON.date() + timedelta(days=5)


def asked_days():
    return dict(GeoCache.objects.values_list("address", "last_seen_on"))


def test_mark_asked__raises_the_days_of_rows_and_lowers_none(django_assert_num_queries):
    for address in ("20.0.0.1", "20.0.0.2", "20.0.0.3"):
        a_row(address)
    earlier = NOON.date() - timedelta(days=5)
    days = {"20.0.0.1": LATER_DAY, "20.0.0.2": earlier, "20.0.0.9": LATER_DAY}
    with django_assert_num_queries(2):
        GeoCache.objects.mark_seen(days)
    assert asked_days() == {
        "20.0.0.1": LATER_DAY,
        "20.0.0.2": NOON.date(),
        "20.0.0.3": NOON.date(),
    }
    with django_assert_num_queries(0):
        GeoCache.objects.mark_seen({})


def test_mark_asked__writes_a_row_once_a_day(monkeypatch):
    a_row(LONDON)
    counts = []
    update = QuerySet.update
    monkeypatch.setattr(
        QuerySet, "update", lambda rows, **given: counts.append(update(rows, **given))
    )
    for _ in range(3):
        GeoCache.objects.mark_seen({LONDON: LATER_DAY})
    assert counts == [1, 0, 0]


def test_mark_asked__of_a_network_is_that_of_its_newest_row():
    network = {"network": "20.0.0.0/24"}
    a_row("20.0.0.1", **network)
    a_row("20.0.0.2", **network, resolved_at=NOON + timedelta(minutes=1))
    a_row("20.0.1.1", network="20.0.1.0/24")
    GeoCache.objects.mark_seen({"20.0.0.0/24": LATER_DAY, "30.0.0.0/8": LATER_DAY})
    assert [address for address, day in asked_days().items() if day == LATER_DAY] == ["20.0.0.2"]


def test_mark_asked__of_more_rows_than_a_statement_takes(monkeypatch):
    monkeypatch.setattr(answers, "MARKED_ROWS", 7)
    locations = many_locations(30)
    GeoCache.objects.upsert(locations)
    GeoCache.objects.mark_seen(dict.fromkeys((one.address for one in locations), LATER_DAY))
    assert set(asked_days().values()) == {LATER_DAY}
