"""The scheduler: two at once, the database away, the clock set. Nothing needs a person."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise

import pytest
from django.db import connection
from django_apscheduler.models import DjangoJob, DjangoJobExecution

from geocache.journal import writer
from geocache.models import GeoCache, SchedulerLease
from geocache.models.scheduler import SCHEDULER_LEASE
from tests.factories import a_location, many_locations
from tests.support import processes
from tests.support.tcp_proxy import a_proxy_to_the_database

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

FLUSH = "geo_cache_flush"
only_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is never away")


@contextmanager
def a_scheduler() -> Iterator[subprocess.Popen[str]]:
    """Start a scheduler that flushes every second."""
    process = processes.start("schedule_geo", DJANGO_SETTINGS_MODULE="tests.faults.settings")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until_said(process: subprocess.Popen[str], event: str) -> None:
    """Read what a scheduler says until it comes to ``event``."""
    assert process.stdout is not None
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        assert any(event in line for line in process.stdout), f"it never said {event}"
    finally:
        watchdog.cancel()


def run_times() -> list[datetime]:
    """Return when the flush was run, in order."""
    executions = DjangoJobExecution.objects.filter(job_id=FLUSH)
    return list(executions.order_by("run_time").values_list("run_time", flat=True))


def assert_flushes(address: str) -> None:
    writer.process_writer.open_segments.clear()
    writer.append([a_location(address)])
    processes.wait_until(GeoCache.objects.filter(address=address).exists, seconds=60)


def test_schedulers__two_started_at_once_run_every_interval_once() -> None:
    with a_scheduler() as first, a_scheduler() as second:
        processes.wait_until(lambda: len(run_times()) > 5, seconds=60)
        assert_flushes("20.0.0.1")
        runs = run_times()
        outputs = [processes.stop(one) for one in (first, second)]

    seconds = [(b - a).total_seconds() for a, b in pairwise(runs)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert sum("geo_scheduler_standing_by" in output for output in outputs) == 1
    # The first run is due at once, the others an interval apart, or more on a busy machine.
    assert all(one > 0.9 for one in seconds[1:]), seconds
    assert sorted(DjangoJob.objects.values_list("id", flat=True)) == [FLUSH, "geo_prune_history"]
    assert SchedulerLease.objects.filter(name=SCHEDULER_LEASE).count() == 1


# A scheduler of the host's own, on the same table, which says what it ran.
HOST = """
import sys
import time
from apscheduler.events import EVENT_JOB_SUBMITTED
from apscheduler.schedulers.background import BackgroundScheduler
from django_apscheduler.jobstores import DjangoJobStore
scheduler = BackgroundScheduler(timezone="UTC")
scheduler.add_jobstore(DjangoJobStore(), "default")
scheduler.add_job(
    "time:time", "interval", seconds=1, id="nightly_invoice", replace_existing=True
)
scheduler.add_listener(lambda event: print("ran", event.job_id, flush=True), EVENT_JOB_SUBMITTED)
scheduler.start()
print("jobs:", *sorted(job.id for job in scheduler.get_jobs()), flush=True)
sys.stdin.readline()
scheduler.shutdown()
"""


def runs_of(job_id: str) -> int:
    return DjangoJobExecution.objects.filter(job_id=job_id).count()


def test_schedulers__host_runs_its_own_jobs_and_so_does_ours() -> None:
    host = processes.start_script(HOST, DJANGO_SETTINGS_MODULE="tests.faults.settings")
    try:
        processes.wait_until(lambda: runs_of("nightly_invoice") > 1, seconds=60)
        with a_scheduler() as ours:
            # Both at once.
            before = runs_of("nightly_invoice")
            processes.wait_until(lambda: runs_of(FLUSH) > 3, seconds=60)
            processes.wait_until(lambda: runs_of("nightly_invoice") > before + 3, seconds=60)
            # Ours alone: the job of the host is due all the time.
            said = host.communicate("stop\n", timeout=60)[0]
            host_count, flush_count = runs_of("nightly_invoice"), runs_of(FLUSH)
            processes.wait_until(lambda: runs_of(FLUSH) > flush_count + 3, seconds=60)
            assert runs_of("nightly_invoice") == host_count
            output = processes.stop(ours)
    finally:
        host.kill()
    assert ours.returncode == 0, output
    assert "nightly_invoice" in said
    assert f"ran {FLUSH}" not in said

    # The host's alone: our rows are in its table, and it can read them.
    flush_count = runs_of(FLUSH)
    host = processes.start_script(HOST, DJANGO_SETTINGS_MODULE="tests.faults.settings")
    try:
        processes.wait_until(lambda: runs_of("nightly_invoice") > host_count + 3, seconds=60)
        said = host.communicate("stop\n", timeout=60)[0]
    finally:
        host.kill()
    assert f"jobs: {FLUSH} geo_prune_history nightly_invoice" in said
    assert f"ran {FLUSH}" not in said
    assert runs_of(FLUSH) == flush_count
    assert DjangoJob.objects.filter(id=FLUSH).count() == 1


@only_postgres
def test_scheduler__database_away_at_its_start_is_waited_for() -> None:
    writer.append(many_locations(10))
    with a_proxy_to_the_database() as proxy:
        proxy.cut()
        with a_scheduler() as process:
            wait_until_said(process, "geo_scheduler_database_away")
            proxy.mend()
            processes.wait_until(lambda: GeoCache.objects.count() == 10, seconds=60)
            output = processes.stop(process)

    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert DjangoJob.objects.filter(id=FLUSH).count() == 1


@only_postgres
def test_scheduler__database_away_in_its_middle_is_waited_for() -> None:
    with a_proxy_to_the_database() as proxy, a_scheduler() as process:
        processes.wait_until(lambda: len(run_times()) > 2, seconds=60)
        for address in ("20.0.0.1", "20.0.0.2"):
            proxy.cut()
            wait_until_said(process, "geo_scheduler_database_away")
            proxy.mend()
            # This test's own connection was cut, too.
            connection.close()
            assert_flushes(address)
        runs = run_times()
        output = processes.stop(process)

    assert process.returncode == 0, output
    assert DjangoJob.objects.filter(id=FLUSH).count() == 1
    assert len(set(runs)) == len(runs)


# A process of its own: its threads and their connections end with it.
SET_CLOCK = """
import time
from datetime import datetime, timedelta
import apscheduler.schedulers.base
from django.utils import timezone
from django_apscheduler.models import DjangoJobExecution
from geocache.journal import writer
from geocache.models import GeoCache
from geocache.scheduler import process, registration
from tests.factories import a_location
from tests.support.processes import wait_until
real_time = time.time
class SetClock(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(hours={hours})
leased = process.LeasedScheduler()
leased.tick()
flushes = DjangoJobExecution.objects.filter(job_id="geo_cache_flush")
wait_until(lambda: flushes.count() > 2)
apscheduler.schedulers.base.datetime = registration.datetime = SetClock
timezone.now = lambda: SetClock.now(process.UTC)
time.time = lambda: real_time() + {hours} * 3600
# The run that was waited for when the clock was set may still come.
time.sleep(1.5)
before = flushes.count()
writer.append([a_location("20.0.0.1")])
leased.tick()
wait_until(GeoCache.objects.exists, seconds=15)
leased.stop()
print("more runs:", flushes.count() - before)
"""


@pytest.mark.parametrize("hours", [-1, 1])
def test_scheduler__goes_on_when_the_clock_is_set(hours: int) -> None:
    process = processes.start_script(
        SET_CLOCK.format(hours=hours), DJANGO_SETTINGS_MODULE="tests.faults.settings"
    )
    try:
        output = process.communicate(timeout=120)[0]
    finally:
        process.kill()

    assert process.returncode == 0, output
    assert ("geo_scheduler_clock_set_back" in output) is (hours < 0)
    # Not one for each of the seconds that the clock has skipped.
    assert int(output.rpartition("more runs:")[2]) < 20
