from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from geocache import jobs
from geocache.jobs.due import is_due, read_schedules
from geocache.jobs.table import find_job
from geocache.models import JobRun
from tests.support.assertions import no_database_write

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PRUNE = "geo_prune"
DAY = timedelta(days=1)


def a_run(*, began: timedelta, status: str = "done", has_ended: bool = True) -> JobRun:
    started_at = NOON - began
    return JobRun(
        job=PRUNE,
        started_at=started_at,
        finished_at=started_at + timedelta(seconds=1) if has_ended else started_at - DAY,
        status=status,
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (JobRun(job=PRUNE), True),
        (a_run(began=DAY), True),
        # A timer of a day comes a few seconds early.
        (a_run(began=DAY - timedelta(seconds=50)), True),
        (a_run(began=DAY - timedelta(minutes=2)), False),
        (a_run(began=timedelta(minutes=2)), False),
        # What failed, or was killed, is tried again within an hour.
        (a_run(began=timedelta(hours=1), status="failed"), True),
        (a_run(began=timedelta(hours=1), has_ended=False), True),
        (a_run(began=timedelta(minutes=30), status="failed"), False),
        (a_run(began=timedelta(minutes=30), has_ended=False), False),
        # The clock was set back by a year.
        (a_run(began=timedelta(days=-365)), True),
    ],
)
def test_is_due__by_the_last_run(run: JobRun, expected: bool) -> None:
    assert is_due(find_job(PRUNE), run, NOON) is expected


def test_is_due__flush_always() -> None:
    run = JobRun(job="geo_cache_flush", started_at=NOON, finished_at=NOON, status="done")
    assert is_due(find_job("geo_cache_flush"), run, NOON)


@pytest.mark.django_db
def test_read_schedules__of_all_jobs_and_writes_nothing(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": 30}
    a_run(began=timedelta(hours=2)).save()
    with no_database_write(max_queries=1):
        found = {one.job.id: one for one in read_schedules(NOON)}
    assert set(found) == {job.id for job in jobs.JOBS}
    assert found["geo_cache_flush"].is_due
    assert not found["geo_bans"].is_due
    plain = found["geo_prune"].to_plain()
    assert plain["due_at"] == "2026-01-03T09:59:00+00:00"
    assert (plain["is_enabled"], plain["is_due"], plain["status"]) == (True, False, "done")


def test_jobs__each_is_a_function_by_its_path() -> None:
    assert [job.path for job in jobs.JOBS] == [f"geocache.jobs:{job.id}" for job in jobs.JOBS]
    for job in jobs.JOBS:
        assert getattr(jobs, job.id).__doc__
        assert job.id in jobs.__all__
    assert len(jobs.JOBS) == 8
