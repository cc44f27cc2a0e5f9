from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Count, Max, Min, QuerySet
from django.utils import timezone

from geocache.admin.date_hierarchy import DateHierarchyQuerySet
from geocache.models import GeoCache
from tests.factories import NOON, a_row

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("kind", ["year", "month", "day"])
def test_datetimes__are_djangos_own_without_reading_every_row(zone: str, kind: str) -> None:
    moments = [
        datetime(2023, 12, 31, 23, 30, tzinfo=UTC),
        datetime(2024, 1, 31, 4, tzinfo=UTC),
        datetime(2024, 2, 29, 4, tzinfo=UTC),
        datetime(2024, 3, 31, 1, tzinfo=UTC),
        datetime(2024, 3, 31, 2, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    ]
    for number, moment in enumerate(moments):
        a_row(f"20.0.0.{number}", resolved_at=moment)
    with timezone.override(zone):
        plain = QuerySet(GeoCache).datetimes("resolved_at", kind)
        assert DateHierarchyQuerySet(GeoCache).datetimes("resolved_at", kind) == list(plain)


def test_datetimes__other_orders_are_djangos() -> None:
    a_row("20.0.0.1", resolved_at=NOON)
    a_row("20.0.0.2", resolved_at=NOON + timedelta(days=400))
    years = DateHierarchyQuerySet(GeoCache).datetimes("resolved_at", "year", order="DESC")
    assert [one.year for one in years] == [2027, 2026]


def test_aggregate__asks_for_the_first_and_the_last_one_by_one(django_assert_num_queries) -> None:
    a_row("20.0.0.1", resolved_at=NOON)
    a_row("20.0.0.2", resolved_at=NOON + timedelta(days=1))
    with django_assert_num_queries(2):
        found = DateHierarchyQuerySet(GeoCache).aggregate(
            first=Min("resolved_at"), last=Max("resolved_at")
        )
    assert found == {"first": NOON, "last": NOON + timedelta(days=1)}


def test_aggregate__anything_else_is_one_query(django_assert_num_queries) -> None:
    a_row()
    with django_assert_num_queries(1):
        found = DateHierarchyQuerySet(GeoCache).aggregate(
            count=Count("pk"), last=Max("resolved_at")
        )
    assert found == {"count": 1, "last": NOON}
