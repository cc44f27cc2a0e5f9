import json
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from geocache.models import FlushRun, GeoCache, Statistics
from geocache.statistics.table import (
    COUNTS,
    KINDS,
    Operator,
    Shares,
    count_kinds,
    read_statistics,
    refresh_if_due,
    refresh_statistics,
)
from tests.factories import NOON, a_location, a_row

pytestmark = pytest.mark.django_db


def fill(*rows):
    """Write a row of made-up fields for each dict."""
    GeoCache.objects.upsert(
        [a_location(f"20.0.0.{number}", **fields) for number, fields in enumerate(rows)]
    )


def a_run(started_at=NOON):
    return FlushRun.objects.create(
        started_at=started_at, seconds=0.1, flushed=1, rejected=0, pending=0, timed_out=False
    )


def counted(at=NOON):
    refresh_statistics(at)
    snapshot = read_statistics()
    assert snapshot is not None
    return snapshot


# --- what is counted -------------------------------------------------------------------------


def test_read_statistics__nothing_was_counted_yet():
    assert read_statistics() is None


def test_refresh_statistics__empty_table():
    snapshot = counted()
    assert (snapshot.row_count, snapshot.empty_count) == (0, 0)
    assert (snapshot.countries, snapshot.operators, snapshot.sources) == ({}, (), {})
    assert len(snapshot.days) == 30
    assert set(snapshot.days.values()) == {0}


def test_refresh_statistics__rows_and_those_of_which_nothing_is_known():
    unknown = {"reason": "not_found", "country_code": "", "source": ""}
    fill({}, {}, unknown, unknown | {"reason": "private"})
    snapshot = counted()
    assert (snapshot.row_count, snapshot.empty_count) == (4, 2)
    assert snapshot.countries == {"GB": 2}
    assert snapshot.sources == {"Dummy 1": 2}


def test_refresh_statistics__countries_and_sources_have_the_largest_first():
    fill(
        *[
            {"country_code": code, "source": f"S{code}"}
            for code in ("DE", "FR", "FR", "FR", "DE", "IT")
        ]
    )
    snapshot = counted()
    assert list(snapshot.countries.items()) == [("FR", 3), ("DE", 2), ("IT", 1)]
    assert list(snapshot.sources.items()) == [("SFR", 3), ("SDE", 2), ("SIT", 1)]


def test_refresh_statistics__a_country_with_several_sources_is_one():
    fill({"source": "A"}, {"source": "B"}, {"source": "B"})
    assert counted().countries == {"GB": 3}


def test_refresh_statistics__operators_have_a_number_and_one_of_their_names():
    one, other = {"asn": 1, "organization": "One"}, {"asn": 2, "organization": "Two"}
    fill(other, other, one, one, one | {"organization": ""}, {"asn": None})
    assert counted().operators == (Operator(1, "One", 3), Operator(2, "Two", 2))


def test_refresh_statistics__keeps_the_top_operators():
    fill(*[{"asn": number, "organization": f"{number}"} for number in range(60)], {"asn": 59})
    operators = counted().operators
    assert len(operators) == 50
    assert operators[0] == Operator(59, "59", 2)
    assert [operator.asn for operator in operators[1:4]] == [0, 1, 2]


def test_refresh_statistics__days_are_the_last_thirty_with_today():
    fill(
        {"resolved_at": NOON},
        {"resolved_at": NOON - timedelta(hours=11)},
        {"resolved_at": NOON - timedelta(days=29)},
        {"resolved_at": NOON - timedelta(days=30)},
    )
    days = counted().days
    assert min(days) == date(2025, 12, 4)
    assert max(days) == date(2026, 1, 2)
    assert list(days) == sorted(days)
    assert (days[date(2025, 12, 4)], days[date(2026, 1, 2)], sum(days.values())) == (1, 2, 3)


@pytest.mark.parametrize(("zone", "day"), [("UTC", 1), ("Asia/Tokyo", 2)])
def test_refresh_statistics__days_are_those_of_the_project(zone, day):
    fill({"resolved_at": datetime(2026, 1, 1, 20, tzinfo=UTC)})
    with timezone.override(zone):
        assert counted().days[date(2026, 1, day)] == 1


def test_refresh_statistics__replaces_what_was_counted_before():
    counted()
    fill({})
    assert counted(NOON + timedelta(hours=1)).row_count == 1
    assert set(Statistics.objects.values_list("pk", flat=True)) == {COUNTS, KINDS}


def test_refresh_statistics__reads_the_table_three_times_and_indexes_of_kinds():
    fill({}, {"country_code": "FR"}, {"asn": 3})
    with CaptureQueriesContext(connection) as queries:
        refresh_statistics(NOON)
    read = [query["sql"] for query in queries if GeoCache._meta.db_table in query["sql"]]
    has_partial_indexes = connection.features.supports_partial_indexes
    assert len(read) == 3 + (3 if has_partial_indexes else 1)


def test_read_statistics__is_one_query(django_assert_num_queries):
    refresh_statistics(NOON)
    with django_assert_num_queries(1):
        snapshot = read_statistics()
    assert snapshot is not None
    assert snapshot.made_at == NOON


# --- when it is counted ----------------------------------------------------------------------


def is_due_after(age_seconds, **changed):
    """Tell whether they are due so long after statistics with these fields were made."""
    refresh_statistics(NOON)
    Statistics.objects.update(**changed)
    return refresh_if_due(NOON + timedelta(seconds=age_seconds))


def test_refresh_if_due__the_first_time_at_once():
    assert refresh_if_due(NOON)
    assert read_statistics() is not None


@pytest.mark.parametrize(
    ("age", "took", "is_due"),
    [(59, 0.1, False), (60, 0.1, True), (60, 1.3, False), (499, 10, False), (500, 10, True)],
)
def test_refresh_if_due__takes_two_percent_of_the_time_at_most(age, took, is_due):
    assert is_due_after(age, seconds=took, last_run=-1) is is_due


def test_refresh_if_due__not_when_nothing_was_flushed():
    a_run()
    assert is_due_after(3600) is False


def test_refresh_if_due__what_was_flushed_too_soon_is_counted_later():
    refresh_statistics(NOON)
    a_run()
    assert refresh_if_due(NOON + timedelta(seconds=30)) is False
    assert refresh_if_due(NOON + timedelta(seconds=60)) is True
    assert refresh_if_due(NOON + timedelta(seconds=120)) is False


def test_refresh_if_due__once_a_day_in_any_case():
    assert is_due_after(86_399) is False
    assert is_due_after(86_400) is True


def test_refresh_if_due__a_clock_that_went_back_does_not_stop_it():
    assert is_due_after(-3600, last_run=-1) is True


def test_statistics__text_is_plain_json():
    a_row(asn=1, organization="One")
    refresh_statistics(NOON)
    kept = Statistics.objects.get(pk=COUNTS)
    assert str(kept) == "2026-01-02 12:00:00"
    assert set(json.loads(kept.figures)) == {
        "row_count",
        "empty_count",
        "countries",
        "operators",
        "sources",
        "days",
    }


# --- kinds of network ------------------------------------------------------------------------

VPN = {"traits": ("anonymous", "anonymous_vpn")}
HOSTED = {"traits": ("hosting_provider",)}


def test_kinds__of_networks_are_counted():
    fill(VPN, VPN | {"asn": 1}, HOSTED | {"asn": 1, "country_code": "DE"}, {"asn": 1}, {})
    kinds = counted().kinds
    assert (kinds.hosting_count, kinds.anonymous_count) == (1, 2)
    assert kinds.traits == {"anonymous": 2, "anonymous_vpn": 2, "hosting_provider": 1}
    assert kinds.countries == {"GB": Shares(0, 2), "DE": Shares(1, 0)}
    assert kinds.operators == {1: Shares(1, 1)}


def test_kinds__of_an_address_that_is_several_is_counted_once_for_each():
    fill({"traits": ("hosting_provider", "public_proxy", "tor_exit_node")})
    kinds = counted().kinds
    assert (kinds.hosting_count, kinds.anonymous_count) == (1, 1)


def test_kinds__of_users_and_connections_are_counted():
    fill(
        {"user_type": "residential", "connection_type": "Cable/DSL"},
        {"user_type": "residential"},
        {"user_type": "business", "connection_type": "Cellular"},
        {},
    )
    kinds = counted().kinds
    assert list(kinds.user_types.items()) == [("residential", 2), ("business", 1)]
    assert kinds.connection_types == {"Cable/DSL": 1, "Cellular": 1}
    assert (kinds.traits, bool(kinds)) == ({}, True)


def test_kinds__an_answer_without_a_country_is_counted_for_all_only():
    fill(VPN | {"country_code": ""})
    kinds = counted().kinds
    assert (kinds.anonymous_count, kinds.countries) == (1, {})


def test_kinds__labels_of_lists_are_among_the_traits(monkeypatch):
    monkeypatch.setattr("geocache.labels.counts", lambda: {"bot": 7, "anonymous": 1})
    fill(VPN)
    assert list(counted().kinds.traits.items()) == [
        ("bot", 7),
        ("anonymous", 2),
        ("anonymous_vpn", 1),
    ]


def test_kinds__none_are_known():
    fill({}, {})
    assert not counted().kinds


def test_kinds__what_an_earlier_release_has_counted_has_none():
    fill(VPN)
    refresh_statistics(NOON)
    Statistics.objects.filter(pk=KINDS).delete()
    snapshot = read_statistics()
    assert snapshot is not None
    assert not snapshot.kinds
    assert (snapshot.kinds.hosting_count, snapshot.kinds.countries.get("GB")) == (0, None)


def test_kinds__what_a_later_release_has_added_is_passed_over():
    refresh_statistics(NOON)
    figures = {"hosting_count": 3, "countries": {"GB": [1, 2, 9]}, "planets": 1}
    Statistics.objects.filter(pk=KINDS).update(figures=json.dumps(figures))
    snapshot = read_statistics()
    assert snapshot is not None
    assert snapshot.kinds.countries == {"GB": Shares(1, 2)}


def test_continents__are_those_of_the_countries():
    fill({"country_code": "FR"}, {"country_code": "DE"}, {"country_code": "JP"}, {}, {})
    assert list(counted().continents.items()) == [("EU", 4), ("AS", 1)]


@pytest.mark.parametrize("has_partial_indexes", [True, False])
def test_kinds__are_the_same_from_one_pass_and_from_three(monkeypatch, has_partial_indexes):
    features = connection.features
    monkeypatch.setattr(features, "supports_partial_indexes", has_partial_indexes)
    fill(VPN | {"user_type": "business"}, HOSTED, {"connection_type": "Cellular"}, {})
    with CaptureQueriesContext(connection) as queries:
        kinds = count_kinds([])
    passes = [one for one in queries if GeoCache._meta.db_table in one["sql"]]
    assert len(passes) == (3 if has_partial_indexes else 1)
    assert kinds == {
        "hosting_count": 1,
        "anonymous_count": 1,
        "traits": {"anonymous": 1, "anonymous_vpn": 1, "hosting_provider": 1},
        "user_types": {"business": 1},
        "connection_types": {"Cellular": 1},
        "countries": {"GB": [1, 1]},
        "operators": {},
    }
