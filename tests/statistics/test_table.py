import json
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from geocache.models import FlushRun, GeoCache, Statistics
from geocache.statistics.table import (
    Operator,
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
    assert Statistics.objects.count() == 1


def test_refresh_statistics__reads_the_table_three_times():
    fill({}, {"country_code": "FR"}, {"asn": 3})
    with CaptureQueriesContext(connection) as queries:
        refresh_statistics(NOON)
    assert sum(GeoCache._meta.db_table in query["sql"] for query in queries) == 3


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
    kept = Statistics.objects.get()
    assert str(kept) == "2026-01-02 12:00:00"
    assert set(json.loads(kept.figures)) == {
        "row_count",
        "empty_count",
        "countries",
        "operators",
        "sources",
        "days",
    }
