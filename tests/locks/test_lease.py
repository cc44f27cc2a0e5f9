"""Leases, by the two tables that have one."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from geocache.locks.process_identity import this_holder
from geocache.models import ImportSource, SchedulerLease
from geocache.scheduler.process import LeasedScheduler
from tests.support import processes

pytestmark = pytest.mark.django_db


def test_lease__is_taken_by_one_and_kept_by_renewing():
    assert SchedulerLease.of("jobs").acquire("one", 60)
    assert not SchedulerLease.of("jobs").acquire("two", 60)
    assert SchedulerLease.of("jobs").acquire("one", 60)
    assert SchedulerLease.of("other jobs").acquire("two", 60)
    lease = SchedulerLease.objects.get(name="jobs")
    assert lease.holder == "one"
    assert timedelta(seconds=50) < lease.expires_at - timezone.now() <= timedelta(seconds=60)


def test_lease__runs_out():
    assert SchedulerLease.of("jobs").acquire("one", 60)
    SchedulerLease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert SchedulerLease.of("jobs").acquire("two", 60)
    assert not SchedulerLease.of("jobs").acquire("one", 60)


def test_lease__of_a_clock_that_was_set_back_since_is_free():
    assert SchedulerLease.of("jobs").acquire("one", 60)
    SchedulerLease.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    assert SchedulerLease.of("jobs").acquire("two", 60)
    assert not SchedulerLease.of("jobs").acquire("one", 60)


def test_lease__released_is_free_at_once_but_only_by_its_holder():
    SchedulerLease.of("jobs").acquire("one", 60)
    SchedulerLease.of("jobs").release("two")
    assert not SchedulerLease.of("jobs").acquire("two", 60)
    SchedulerLease.of("jobs").release("one")
    assert SchedulerLease.of("jobs").acquire("two", 60)


def cut_before(execute, sql, *more):
    if sql.startswith("UPDATE"):
        raise OperationalError("the server closed the connection")
    return execute(sql, *more)


def cut_after(execute, sql, *more):
    done = execute(sql, *more)
    return cut_before(lambda *_: done, sql)


@pytest.mark.django_db(transaction=True)
def test_lease__database_away_at_its_end_leaves_it_to_the_next_of_this_process():
    row, ended, taken = SchedulerLease.of("jobs"), this_holder(), this_holder()
    assert row.acquire(ended, 60)
    with connection.execute_wrapper(cut_before), pytest.raises(OperationalError):
        row.release(ended)
    assert SchedulerLease.of("jobs").holder == ended
    with connection.execute_wrapper(cut_after), pytest.raises(OperationalError):
        row.acquire(taken, 60)
    assert SchedulerLease.of("jobs").holder == taken
    assert row.acquire("next", 60)
    assert not row.acquire("other", 60)


@pytest.mark.parametrize("hours", [-2, 2])
def test_lease__clock_of_a_process_that_is_wrong_takes_nothing(monkeypatch, hours):
    real_now = timezone.now
    assert SchedulerLease.of("jobs").acquire("one", 60)
    monkeypatch.setattr(timezone, "now", lambda: real_now() + timedelta(hours=hours))
    assert not SchedulerLease.of("jobs").acquire("two", 60)
    assert SchedulerLease.of("jobs").acquire("one", 60)
    monkeypatch.setattr(timezone, "now", real_now)
    assert not SchedulerLease.of("jobs").acquire("two", 60)
    lease = SchedulerLease.objects.get()
    assert timedelta(seconds=50) < lease.expires_at - real_now() <= timedelta(seconds=60)


def test_lease__of_two_containers_that_look_alike_one_holds_it(monkeypatch, tmp_path):
    monkeypatch.setattr("geocache.locks.process_identity.PROC", tmp_path)
    monkeypatch.setattr("os.getpid", lambda: 1)
    monkeypatch.setattr("socket.gethostname", lambda: "web")
    first, second = LeasedScheduler().holder, LeasedScheduler().holder
    assert SchedulerLease.of("jobs").acquire(first, 60)
    assert not SchedulerLease.of("jobs").acquire(second, 60)
    assert SchedulerLease.of("jobs").acquire(first, 60)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="needs PostgreSQL")
def test_lease__of_many_at_once_one_takes_it():
    barrier = threading.Barrier(6)

    def work(holder):
        barrier.wait()
        try:
            return SchedulerLease.of("jobs").acquire(holder, 60)
        finally:
            connection.close()

    for _ in range(5):
        SchedulerLease.objects.all().delete()
        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(work, "abcdef")) == 1


def test_renew__tells_when_another_has_taken_it():
    source = ImportSource.objects.create(name="ipsum")
    assert source.acquire("one", 60)
    assert source.renew("one", 60)
    ImportSource.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert source.acquire("two", 60)
    assert not source.renew("one", 60)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["SchedulerLease", "ImportSource"])
def test_lease__of_a_process_that_was_killed_is_free_at_once(name):
    process = processes.start_script(
        "import time\n"
        "from geocache import models\n"
        "from geocache.locks.process_identity import this_holder\n"
        f"row = models.{name}.objects.get_or_create(name='held')[0]\n"
        "print(row.acquire(this_holder(), 3600), flush=True)\n"
        "time.sleep(60)\n"
    )
    try:
        assert process.stdout.readline() == "True\n"
        row = {"SchedulerLease": SchedulerLease, "ImportSource": ImportSource}[name].objects.get()
        assert not row.acquire(this_holder(), 3600)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert row.acquire(this_holder(), 3600)
