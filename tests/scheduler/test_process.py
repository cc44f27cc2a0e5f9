import pickle
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from django.db import IntegrityError, OperationalError
from django.test import Client
from django_apscheduler.models import DjangoJob, DjangoJobExecution

from geocache import jobs
from geocache.databases import update as databases_update
from geocache.databases.update import Outcome
from geocache.journal import writer
from geocache.models import GeoCache, SchedulerLease
from geocache.models.scheduler import SCHEDULER_LEASE
from geocache.scheduler import process as scheduler_process
from geocache.scheduler.job_store import MirroredJobStore
from tests.factories import a_location, many_locations
from tests.support import processes

pytestmark = pytest.mark.cache_decides

FLUSH = "geo_cache_flush"


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def release_lease() -> None:
    SchedulerLease.objects.update(expires_at=datetime(2000, 1, 1, tzinfo=UTC))


@pytest.mark.django_db(transaction=True)
def test_leased_scheduler__job_that_takes_long_is_told_to_stop(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "UPDATE_DAYS": 7}
    began, ended = threading.Event(), threading.Event()

    def update(*, is_stopped: Any, **_: Any) -> list[Outcome]:
        began.set()
        processes.wait_until(is_stopped)
        ended.set()
        return []

    monkeypatch.setattr(databases_update, "update_databases", update)
    leased = scheduler_process.LeasedScheduler()
    leased.tick()
    assert began.wait(30)
    leased.leave()
    assert ended.is_set()
    assert not jobs.stopping.is_set()


@pytest.mark.django_db(transaction=True)
def test_start_scheduler__registers_each_job_once_however_often_it_starts(
    events: list[Any],
) -> None:
    for _ in range(2):
        scheduler_process.start_scheduler().shutdown()

    assert sorted(DjangoJob.objects.values_list("id", flat=True)) == [FLUSH, "geo_prune_history"]
    scheduled = [event for event in events if event["event"] == "geo_job_scheduled"]
    assert scheduled[0] == {
        "event": "geo_job_scheduled",
        "job": FLUSH,
        "interval_seconds": 60,
        "log_level": "info",
    }


@pytest.mark.django_db(transaction=True)
def test_start_scheduler__job_has_the_promised_settings() -> None:
    scheduler = scheduler_process.start_scheduler()
    job = scheduler.get_job(FLUSH)
    scheduler.shutdown()

    assert job.func_ref == "geocache.jobs:geo_cache_flush"
    assert job.trigger.interval == timedelta(seconds=60)
    assert (job.coalesce, job.max_instances, job.misfire_grace_time) == (True, 1, None)


@pytest.mark.django_db(transaction=True)
def test_start_scheduler__runs_the_flush_at_once() -> None:
    writer.append([a_location()])

    scheduler = scheduler_process.start_scheduler()

    try:
        processes.wait_until(GeoCache.objects.exists)
    finally:
        scheduler.shutdown()


@pytest.mark.django_db(transaction=True)
def test_start_scheduler__removes_jobs_of_ours_that_are_switched_off_and_no_others() -> None:
    now = datetime.now(UTC)
    for job_id in ("geo_import", "geo_of_the_host", "their_job"):
        DjangoJob.objects.create(id=job_id, job_state=b"not a pickle", next_run_time=now)

    scheduler_process.start_scheduler().shutdown()

    ids = set(DjangoJob.objects.values_list("id", flat=True))
    assert ids == {FLUSH, "geo_prune_history", "geo_of_the_host", "their_job"}


@pytest.mark.django_db(transaction=True)
def test_start_scheduler__pauses_the_row_that_an_earlier_release_left_due() -> None:
    now = datetime.now(UTC)
    DjangoJob.objects.create(id=FLUSH, job_state=b"old", next_run_time=now)
    DjangoJobExecution.objects.create(job_id=FLUSH, run_time=now - timedelta(days=1))

    scheduler = scheduler_process.start_scheduler()
    try:
        processes.wait_until(lambda: DjangoJobExecution.objects.filter(job_id=FLUSH).count() > 1)
        assert scheduler.get_job(FLUSH).next_run_time is not None
    finally:
        scheduler.shutdown()

    row = DjangoJob.objects.get(id=FLUSH)
    assert row.next_run_time is None
    state = pickle.loads(row.job_state)
    assert (state["func"], state["next_run_time"]) == (
        "geocache.jobs:geo_cache_flush",
        None,
    )


def _deleted_jobs() -> bool:
    try:
        DjangoJob.objects.all().delete()
    except IntegrityError:
        # A run has begun in between, which refers to its job.
        return False
    return True


@pytest.mark.django_db(transaction=True)
def test_job_store__row_that_the_host_deletes_comes_back_and_the_job_goes_on(
    settings: Any,
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "FLUSH_INTERVAL_SECONDS": 1}
    scheduler = scheduler_process.start_scheduler()
    try:
        processes.wait_until(_deleted_jobs)
        processes.wait_until(DjangoJobExecution.objects.filter(job_id=FLUSH).exists)
    finally:
        scheduler.shutdown()


@pytest.mark.django_db(transaction=True)
def test_jobs__are_shown_in_the_admin_of_django_apscheduler(superuser: Client) -> None:
    scheduler = scheduler_process.start_scheduler()
    try:
        processes.wait_until(
            DjangoJobExecution.objects.filter(job_id=FLUSH, status="Executed").exists
        )
    finally:
        scheduler.shutdown()
    assert FLUSH in superuser.get("/admin/django_apscheduler/djangojob/").text
    assert FLUSH in superuser.get("/admin/django_apscheduler/djangojobexecution/").text
    writer.append([a_location()])
    given = {"action": "run_selected_jobs", "_selected_action": FLUSH}
    response = superuser.post("/admin/django_apscheduler/djangojob/", given, follow=True)
    assert f"Executed job '{FLUSH}'!" in response.text
    assert GeoCache.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_scheduler__outlives_a_database_that_is_locked(
    monkeypatch: pytest.MonkeyPatch, events: list[Any]
) -> None:
    monkeypatch.setattr(scheduler_process, "RENEW_SECONDS", 0.05)
    failures = iter([True, True])
    original = MirroredJobStore.update_job

    def locked(self: MirroredJobStore, job: Any) -> None:
        if next(failures, False):
            raise OperationalError("database is locked")
        original(self, job)

    monkeypatch.setattr(MirroredJobStore, "update_job", locked)
    writer.append([a_location()])

    scheduler = scheduler_process.start_scheduler()

    try:
        processes.wait_until(lambda: names(events).count("geo_scheduler_database_away") == 2)
        processes.wait_until(GeoCache.objects.exists)
        assert scheduler.is_alive
    finally:
        scheduler.shutdown()


@pytest.mark.django_db(transaction=True)
def test_leased_scheduler__second_stands_by_and_takes_over_when_the_lease_runs_out(
    events: list[Any],
) -> None:
    first, second = scheduler_process.LeasedScheduler(), scheduler_process.LeasedScheduler()
    second.holder = "elsewhere:1"
    try:
        first.tick()
        second.tick()
        assert first.scheduler is not None
        assert second.scheduler is None
        assert "geo_scheduler_standing_by" in names(events)

        release_lease()
        second.tick()
        assert second.scheduler is not None

        first.tick()
        assert first.scheduler is None
    finally:
        first.stop()
        second.stop()


@pytest.mark.django_db(transaction=True)
def test_leased_scheduler__starts_again_when_the_schedulers_thread_has_died(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leased = scheduler_process.LeasedScheduler()
    leased.tick()
    assert leased.scheduler is not None
    died = leased.scheduler

    try:
        with monkeypatch.context() as patch:
            patch.setattr(type(died), "is_alive", False)
            leased.tick()
        assert leased.scheduler is not died
    finally:
        leased.stop()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("step", "is_again"), [(-3600, True), (-1, False), (3600, False)])
def test_leased_scheduler__starts_again_when_the_clock_is_set_back(
    monkeypatch: pytest.MonkeyPatch, events: list[Any], step: float, is_again: bool
) -> None:
    leased = scheduler_process.LeasedScheduler()
    leased.tick()
    first, offset = leased.scheduler, scheduler_process.clock_offset() + step
    monkeypatch.setattr(scheduler_process, "clock_offset", lambda: offset)

    try:
        leased.tick()
        second = leased.scheduler
        leased.tick()
    finally:
        leased.stop()

    assert (second is not first) is is_again
    assert names(events).count("geo_scheduler_clock_set_back") == is_again


@pytest.mark.django_db(transaction=True)
def test_leased_scheduler__waits_for_a_database_that_is_away_at_its_start(
    monkeypatch: pytest.MonkeyPatch, events: list[Any]
) -> None:
    leased = scheduler_process.LeasedScheduler()

    def away(*_: Any, **__: Any) -> bool:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(SchedulerLease, "acquire", away)
        leased.tick()
    assert names(events) == ["geo_scheduler_database_away"]

    leased.tick()

    assert leased.scheduler is not None
    leased.stop()


@pytest.mark.django_db(transaction=True)
def test_run_scheduler__flushes_once_more_and_gives_the_lease_back_when_it_stops() -> None:
    stopped = threading.Event()
    thread = threading.Thread(target=scheduler_process.run_scheduler, args=(stopped.is_set,))
    thread.start()
    processes.wait_until(lambda: DjangoJobExecution.objects.filter(job_id=FLUSH).exists())
    writer.append([a_location()])

    stopped.set()
    thread.join()

    assert GeoCache.objects.count() == 1
    assert SchedulerLease.of(SCHEDULER_LEASE).expires_at < datetime.now(UTC)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_schedule_geo__flushes_once_more_on_a_signal_and_exits_0(number: int) -> None:
    process = processes.start("schedule_geo")
    processes.wait_until(lambda: DjangoJobExecution.objects.filter(job_id=FLUSH).exists())
    time.sleep(0.3)
    writer.append(many_locations(10))

    output = processes.stop(process, number)

    assert process.returncode == 0, output
    assert GeoCache.objects.count() == 10
    assert "geo_job_scheduled" in output
    assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_schedule_geo__killed_with_9_is_replaced_and_the_job_is_there_once() -> None:
    first = processes.start("schedule_geo")
    processes.wait_until(lambda: DjangoJobExecution.objects.filter(job_id=FLUSH).exists())
    processes.stop(first, signal.SIGKILL)
    writer.append(many_locations(10))
    release_lease()

    second = processes.start("schedule_geo")
    processes.wait_until(lambda: GeoCache.objects.count() == 10)
    output = processes.stop(second)

    assert second.returncode == 0, output
    assert DjangoJob.objects.filter(id=FLUSH).count() == 1


@pytest.mark.slow
def test_schedule_geo__database_without_tables_is_one_clear_line(tmp_path: Any) -> None:
    process = processes.start("schedule_geo", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")

    output = process.communicate(timeout=60)[0]

    assert process.returncode == 1
    assert "manage.py migrate" in output
    assert "Traceback" not in output
