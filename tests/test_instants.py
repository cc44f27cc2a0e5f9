"""Moments of a project whose own have no time zone: ``USE_TZ = False``."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db.models import Max

from geocache.admin.date_hierarchy import DateHierarchyQuerySet
from geocache.instants import utc_now
from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup
from geocache.management.explain_output import origin_of
from geocache.models import ApiToken, FlushRun, GeoCache, JobRun, ListedAddress, SchedulerLease
from geocache.statistics.table import read_statistics, refresh_statistics
from tests.factories import LONDON, a_location, an_admin
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db

NEW_YORK = ZoneInfo("America/New_York")
# The hour that occurs twice when summer time ends: 01:30 at -04:00, and an hour later at -05:00.
FIRST = datetime(2025, 11, 2, 5, 30, tzinfo=UTC)
SECOND = FIRST + timedelta(hours=1)


@pytest.fixture(autouse=True)
def _naive(settings: Any) -> Iterator[None]:
    settings.USE_TZ, settings.TIME_ZONE = False, "America/New_York"
    return


@pytest.mark.parametrize("at", [FIRST, SECOND])
def test_instant__keeps_its_place_in_time(at: datetime) -> None:
    GeoCache.objects.upsert([a_location(resolved_at=at)])

    row = GeoCache.objects.get()
    assert row.resolved_at == at
    # Pages show it as it is, without a conversion.
    assert (row.resolved_at.hour, row.resolved_at.minute) == (1, 30)


def test_instant__of_the_later_answer_wins_in_the_hour_that_occurs_twice() -> None:
    GeoCache.objects.upsert([a_location(resolved_at=SECOND, city="new")])
    GeoCache.objects.upsert([a_location(resolved_at=FIRST, city="old")])

    assert GeoCache.objects.get().city == "new"
    assert GeoCache.objects.aggregate(last=Max("resolved_at")) == {"last": SECOND}
    assert not GeoCache.objects.filter(resolved_at__gt=SECOND).exists()


def test_instant__without_a_zone_is_local() -> None:
    GeoCache.objects.upsert([a_location(resolved_at=FIRST)])
    local = FIRST.astimezone(NEW_YORK).replace(tzinfo=None)

    assert GeoCache.objects.filter(resolved_at__gte=local, resolved_at__lte=local).exists()


def test_instant__is_stored_as_with_time_zones(settings: Any) -> None:
    GeoCache.objects.upsert([a_location(resolved_at=FIRST)])

    settings.USE_TZ = True

    assert GeoCache.objects.get().resolved_at == FIRST


def test_instant__default_of_django_has_no_zone() -> None:
    token = ApiToken.objects.create(user=an_admin(), name="a program", digest="0" * 64)

    token.refresh_from_db()
    assert abs(token.created_at - utc_now()) < timedelta(minutes=1)


@pytest.mark.parametrize("command", [["status_geo"], ["run_geo", "--list"]])
def test_command__shows_moments_in_utc_as_it_says(command: list[str], capsys: Any) -> None:
    run = JobRun.of("geo_cache_flush")
    run.written().update(started_at=FIRST, finished_at=FIRST, status="done")
    FlushRun.objects.create(
        started_at=FIRST, seconds=0.1, flushed=1, rejected=0, pending=0, timed_out=False
    )

    with suppress(SystemExit):
        call_command(*command)

    said = capsys.readouterr().out
    assert "2025-11-02 05:30:00 UTC" in said
    assert "01:30:00" not in said


def test_explanation__shows_the_moment_in_utc() -> None:
    GeoCache.objects.upsert([a_location(resolved_at=FIRST)])

    said = dict(origin_of(next(GeoCache.objects.stream()), FIRST))
    assert said["Age"] == "0:00:00 (h:mm:ss), resolved 2025-11-02 05:30:00 UTC"


def test_flush__writes_answers_and_its_run() -> None:
    lookup(LONDON)

    report = flush_dirty()

    assert report.flushed == 1
    assert abs(FlushRun.objects.get().started_at - utc_now()) < timedelta(minutes=1)
    assert GeoCache.objects.get().last_seen_on


def test_lease__lasts_as_long_as_it_says() -> None:
    assert SchedulerLease.of("jobs").acquire("one", 60)

    assert not SchedulerLease.of("jobs").acquire("two", 60)
    left = SchedulerLease.objects.get().expires_at - utc_now()
    assert timedelta(seconds=50) < left <= timedelta(seconds=61)


def test_import__entries_are_listed_from_now_on() -> None:
    imported("192.0.2.1", "198.51.100.0/24")

    for entry in ListedAddress.objects.all():
        assert abs(entry.first_listed_at - utc_now()) < timedelta(minutes=1)


def test_statistics__each_answer_is_of_one_day() -> None:
    GeoCache.objects.upsert([a_location(resolved_at=FIRST)])

    refresh_statistics(SECOND)

    snapshot = read_statistics()
    assert snapshot is not None
    assert snapshot.days[date(2025, 11, 2)] == sum(snapshot.days.values()) == 1


@pytest.mark.parametrize("kind", ["year", "month", "day"])
def test_date_hierarchy__shows_days_that_its_filter_finds(kind: str) -> None:
    # In New York it is still the day, the month and the year before.
    GeoCache.objects.upsert([a_location(resolved_at=datetime(2026, 1, 1, 2, tzinfo=UTC))])
    rows = DateHierarchyQuerySet(GeoCache)

    (shown,) = rows.datetimes("resolved_at", kind)

    assert rows.filter(**{f"resolved_at__{kind}": getattr(shown, kind)}).exists()
