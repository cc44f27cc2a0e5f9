import gc
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from django.db import OperationalError, connection
from django_apscheduler.jobstores import DjangoJobStore
from django_apscheduler.models import DjangoJob

from geocache import conf
from geocache.integrations import apscheduler as integration
from geocache.models import JobRun, SchedulerLease, SettingOverride
from geocache.models.scheduler import SCHEDULER_LEASE
from geocache.scheduler import process as scheduler_process
from geocache.scheduler.job_store import MirroredJobStore
from geocache.scheduler.registration import add_jobs, follow_settings

FLUSH, PRUNE = "geo_cache_flush", "geo_prune"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[MemoryJobStore, MirroredJobStore, DjangoJobStore])
def scheduler(request: Any) -> Iterator[BackgroundScheduler]:
    """A scheduler with our jobs that never runs one."""
    made = BackgroundScheduler(timezone=UTC)
    made.add_jobstore(request.param(), "default")
    made.start(paused=True)
    add_jobs(made)
    yield made
    made.shutdown()


def has_run(scheduler: BackgroundScheduler, at: datetime, job_id: str = FLUSH) -> None:
    interval = scheduler.get_job(job_id).trigger.interval
    scheduler.modify_job(job_id, next_run_time=at + interval)


def near(moment: datetime, other: datetime) -> bool:
    return abs(moment - other) < timedelta(seconds=5)


def test_follow_settings__longer_interval_counts_from_the_last_run(scheduler: Any) -> None:
    last = datetime.now(UTC) - timedelta(seconds=20)
    has_run(scheduler, last)
    conf.override({"FLUSH_INTERVAL_SECONDS": 600})
    follow_settings(scheduler)
    job = scheduler.get_job(FLUSH)
    assert job.trigger.interval == timedelta(seconds=600)
    assert job.next_run_time == last + timedelta(seconds=600)


def test_follow_settings__shorter_interval_that_is_over_is_due_now_and_not_in_the_past(
    scheduler: Any,
) -> None:
    has_run(scheduler, datetime.now(UTC) - timedelta(seconds=50))
    conf.override({"FLUSH_INTERVAL_SECONDS": 10})
    before = datetime.now(UTC)
    follow_settings(scheduler)
    assert before <= scheduler.get_job(FLUSH).next_run_time <= datetime.now(UTC)


def test_follow_settings__without_a_change_nothing_moves(scheduler: Any) -> None:
    has_run(scheduler, datetime.now(UTC))
    before = [(job.id, job.next_run_time) for job in scheduler.get_jobs()]
    follow_settings(scheduler)
    assert [(job.id, job.next_run_time) for job in scheduler.get_jobs()] == before


def test_follow_settings__job_that_is_switched_on_is_due_after_its_last_run(scheduler: Any) -> None:
    assert scheduler.get_job(PRUNE) is None
    ran_at = datetime.now(UTC) - timedelta(hours=3)
    run = JobRun.of(PRUNE)
    JobRun.written().filter(pk=run.pk).update(started_at=ran_at)
    conf.override({"RETENTION_DAYS": 30})
    follow_settings(scheduler)
    assert near(scheduler.get_job(PRUNE).next_run_time, ran_at + timedelta(days=1))


def test_follow_settings__job_that_never_ran_is_due_when_it_is_switched_on(scheduler: Any) -> None:
    conf.override({"RETENTION_DAYS": 30})
    follow_settings(scheduler)
    assert near(scheduler.get_job(PRUNE).next_run_time, datetime.now(UTC))


def test_follow_settings__job_that_is_switched_off_is_removed_and_others_stay(
    scheduler: Any,
) -> None:
    scheduler.add_job("time:time", "interval", hours=1, id="their_job")
    conf.override({"RETENTION_DAYS": 30})
    follow_settings(scheduler)
    conf.override({})
    follow_settings(scheduler)
    assert scheduler.get_job(PRUNE) is None
    assert scheduler.get_job("their_job") is not None
    assert not DjangoJob.objects.filter(id=PRUNE).exists()


def test_follow_settings__job_that_the_host_has_paused_stays_so(scheduler: Any) -> None:
    scheduler.pause_job(FLUSH)
    conf.override({"FLUSH_INTERVAL_SECONDS": 10})
    follow_settings(scheduler)
    job = scheduler.get_job(FLUSH)
    assert job.next_run_time is None
    assert job.trigger.interval == timedelta(seconds=10)


def test_add_jobs__of_a_host_follow_what_is_changed_later() -> None:
    made = BackgroundScheduler(timezone=UTC)
    made.add_jobstore(MemoryJobStore(), "theirs")
    made.start(paused=True)
    try:
        integration.add_jobs(made, jobstore="theirs")
        conf.override({"FLUSH_INTERVAL_SECONDS": 10, "RETENTION_DAYS": 30})
        assert made.get_job(FLUSH).trigger.interval == timedelta(seconds=10)
        assert made.get_job(PRUNE, jobstore="theirs") is not None
        conf.override({})
        assert made.get_job(PRUNE) is None
    finally:
        made.shutdown()
    is_kept = weakref.ref(made)
    del made
    gc.collect()
    assert is_kept() is None


def test_follow_settings__job_that_the_host_has_given_other_times_keeps_them() -> None:
    made = BackgroundScheduler(timezone=UTC)
    made.start(paused=True)
    try:
        add_jobs(made)
        made.reschedule_job(FLUSH, trigger="cron", minute="*/5")
        conf.override({"FLUSH_INTERVAL_SECONDS": 10, "RETENTION_DAYS": 30})
        follow_settings(made)
        assert isinstance(made.get_job(FLUSH).trigger, CronTrigger)
        assert made.get_job(PRUNE) is not None
    finally:
        made.shutdown()


def test_add_jobs__of_a_host_whose_job_store_was_away_follow_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = BackgroundScheduler(timezone=UTC)
    made.start(paused=True)
    try:
        integration.add_jobs(made)
        with monkeypatch.context() as away:
            away.setattr(made, "get_job", Mock(side_effect=OperationalError("away")))
            conf.override({"FLUSH_INTERVAL_SECONDS": 10})
        assert made.get_job(FLUSH).trigger.interval == timedelta(seconds=60)
        integration.follow_again()
        assert made.get_job(FLUSH).trigger.interval == timedelta(seconds=10)
        assert not integration.behind
    finally:
        made.shutdown()


def test_job_store__job_that_is_off_goes_together_with_its_row() -> None:
    made = BackgroundScheduler(timezone=UTC)
    made.add_jobstore(MirroredJobStore(), "default")
    made.start(paused=True)
    try:
        conf.override({"RETENTION_DAYS": 30})
        add_jobs(made)
        conf.override({})
        with (
            connection.execute_wrapper(Mock(side_effect=OperationalError("away"))),
            pytest.raises(OperationalError),
        ):
            follow_settings(made)
        follow_settings(made)
        assert made.get_job(PRUNE) is None
        assert not DjangoJob.objects.filter(id=PRUNE).exists()
    finally:
        made.shutdown()


def change(**values: Any) -> None:
    """Change settings as another process does."""
    for name, value in values.items():
        SettingOverride.objects.update_or_create(
            name=name, defaults={"value": value, "changed_at": datetime.now(UTC)}
        )


def test_leased_scheduler__one_that_stands_by_follows() -> None:
    SchedulerLease.of(SCHEDULER_LEASE).acquire("another", 60)
    leased = scheduler_process.LeasedScheduler()
    change(LOG_LEVEL="ERROR")
    leased.tick()
    assert leased.is_standing_by
    assert conf.get("LOG_LEVEL") == "ERROR"


def test_leased_scheduler__tick_follows_and_keeps_one_row_of_each_job() -> None:
    leased = scheduler_process.LeasedScheduler()
    leased.tick()
    try:
        change(FLUSH_INTERVAL_SECONDS=600, RETENTION_DAYS=30)
        leased.tick()
        assert leased.scheduler is not None
        job = leased.scheduler.get_job(FLUSH)
        assert job.trigger.interval == timedelta(seconds=600)
        assert leased.scheduler.get_job(PRUNE) is not None
        ids = sorted(DjangoJob.objects.values_list("id", flat=True))
        assert ids == [FLUSH, PRUNE, "geo_prune_history"]
        SettingOverride.objects.all().delete()
        leased.tick()
        assert leased.scheduler.get_job(PRUNE) is None
        ids = sorted(DjangoJob.objects.values_list("id", flat=True))
        assert ids == [FLUSH, "geo_prune_history"]
    finally:
        leased.leave()
