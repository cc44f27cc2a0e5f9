import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection, transaction
from structlog.testing import capture_logs

from geocache import jobs
from geocache.exceptions import FlushError, ImportBusy, MeteredProvider
from geocache.jobs import held, work
from geocache.jobs.work import Outcome, Work
from geocache.journal import writer
from geocache.models import GeoCache, JobRun, SettingOverride
from tests.factories import many_locations
from tests.support import processes
from tests.support.assertions import no_database_write

PRUNE = "geo_prune_history"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def work_as(monkeypatch: pytest.MonkeyPatch, do: Any, job_id: str = PRUNE) -> None:
    monkeypatch.setitem(work.WORK, job_id, do)


def failing(error: BaseException) -> Any:
    def fail(_: Work) -> Outcome:
        raise error

    return fail


@pytest.mark.django_db(transaction=True)
def test_run__report_is_plain_json_and_the_run_is_noted() -> None:
    writer.append(many_locations(3))

    report = jobs.geo_cache_flush()

    assert json.loads(json.dumps(report)) == report
    assert (report["job"], report["status"], report["error"]) == ("geo_cache_flush", "done", "")
    assert report["detail"]["flushed"] == 3
    [noted] = JobRun.objects.all()
    assert (noted.job, noted.status, noted.error) == ("geo_cache_flush", "done", "")
    assert noted.has_ended()
    assert noted.holder == ""


@pytest.mark.django_db(transaction=True)
def test_run__inside_a_transaction_is_refused_before_it_begins() -> None:
    said = "geo_prune was called inside a transaction"
    with transaction.atomic(), pytest.raises(RuntimeError, match=said):
        jobs.geo_prune()
    assert not JobRun.objects.exists()
    with transaction.atomic():
        transaction.on_commit(jobs.geo_cache_flush)
    assert JobRun.objects.get().status == "done"


@pytest.mark.django_db
def test_run__inside_the_transaction_of_a_test() -> None:
    assert jobs.geo_cache_flush()["status"] == "done"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "error",
    [
        FlushError("away"),
        ImproperlyConfigured("away"),
        OSError("away"),
        OperationalError("away\n  HINT: here"),
        InterfaceError("away"),
    ],
)
def test_run__known_error_is_one_event_and_a_report(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    work_as(monkeypatch, failing(error))
    said = " ".join(str(error).split())
    with capture_logs() as events:
        report = jobs.geo_prune_history()
    failed = {"event": "geo_job_failed", "job": PRUNE, "error": said, "log_level": "error"}
    assert events == [failed | {"help": "docs/troubleshooting.md#job-failed"}]
    assert (report["status"], report["error"]) == ("failed", said)
    assert (JobRun.of(PRUNE).status, JobRun.of(PRUNE).error) == ("failed", said)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("error", "status"), [(MeteredProvider("costs"), "disabled"), (ImportBusy("other"), "busy")]
)
def test_run__what_is_no_failure_is_no_event(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: str
) -> None:
    work_as(monkeypatch, failing(error))
    with capture_logs() as events:
        report = jobs.geo_prune_history()
    assert (report["status"], report["error"], events) == (status, str(error), [])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit(), KeyboardInterrupt()])
def test_run__defect_is_raised_noted_and_frees_the_lease(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    work_as(monkeypatch, failing(error))
    with pytest.raises(type(error)):
        jobs.geo_prune_history()
    noted = JobRun.of(PRUNE)
    assert (noted.status, noted.holder) == ("failed", "")
    assert noted.error == f"ended by {type(error).__name__}"


@pytest.mark.django_db(transaction=True)
def test_run__connection_that_is_too_old_is_closed_before_and_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    JobRun.of(PRUNE)
    connection.close_at = time.monotonic() - 1
    old = connection.connection
    jobs.geo_prune_history()
    assert connection.connection is not old

    def grow_old(_: Work) -> Outcome:
        connection.close_at = time.monotonic() - 1
        return Outcome()

    work_as(monkeypatch, grow_old)
    jobs.geo_prune_history()
    assert connection.connection is None


@pytest.mark.django_db
def test_run__inside_the_transaction_of_a_hosts_test() -> None:
    writer.append(many_locations(3))
    assert jobs.geo_cache_flush()["detail"]["flushed"] == 3
    assert GeoCache.objects.count() == 3


def test_run__job_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no job 'geo_x'; choose of geo_cache_flush, "):
        jobs.run_job("geo_x")


@pytest.mark.django_db
def test_run__job_that_is_off_writes_nothing() -> None:
    # Whether it is off says the table of changed settings.
    with no_database_write(max_queries=1):
        report = jobs.geo_prune()
    assert (report["status"], report["error"]) == ("disabled", "the settings do not want it")


@pytest.mark.django_db(transaction=True)
def test_run__second_at_once_is_busy_and_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on, calls = threading.Event(), threading.Event(), []

    def wait(_: Work) -> Outcome:
        calls.append(1)
        began.set()
        assert go_on.wait(30)
        return Outcome()

    work_as(monkeypatch, wait)
    first = threading.Thread(target=jobs.geo_prune_history)
    first.start()
    assert began.wait(30)
    second = jobs.geo_prune_history()
    go_on.set()
    first.join()
    assert second["status"] == "busy"
    assert "runs it at this moment" in second["error"]
    assert calls == [1]
    assert jobs.geo_prune_history()["status"] == "done"


@pytest.mark.django_db(transaction=True)
def test_run__ends_when_its_time_is_over_or_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def ask(given: Work) -> Outcome:
        asked.append(given.is_stopped())
        return Outcome()

    work_as(monkeypatch, ask)
    jobs.run_job(PRUNE)
    jobs.run_job(PRUNE, time_limit_seconds=0)
    jobs.run_job(PRUNE, is_stopped=lambda: True)
    with monkeypatch.context() as patch:
        patch.setattr(jobs.stopping, "is_set", lambda: True)
        jobs.run_job(PRUNE)
    assert asked == [False, True, True, True]


@pytest.mark.django_db(transaction=True)
def test_run__time_limit_can_only_be_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def note(given: Work) -> Outcome:
        limits.append(given.time_limit_seconds)
        return Outcome()

    work_as(monkeypatch, note)
    jobs.run_job(PRUNE, time_limit_seconds=5)
    jobs.run_job(PRUNE, time_limit_seconds=1e9)
    assert limits == [5, 60]


@pytest.mark.django_db(transaction=True)
def test_held__long_run_keeps_its_lease_and_learns_when_it_lost_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(held, "RENEW_SECONDS", 0.05)
    last = JobRun.of(PRUNE)
    with held.held(last, 60) as is_lost:
        first = JobRun.of(PRUNE).expires_at
        processes.wait_until(lambda: JobRun.of(PRUNE).expires_at > first)
        assert not is_lost()
        JobRun.objects.update(holder="elsewhere")
        processes.wait_until(is_lost)
    assert JobRun.of(PRUNE).holder == "elsewhere"


@pytest.mark.django_db(transaction=True)
def test_held__run_that_hangs_lets_its_lease_lapse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(held, "GRACE_SECONDS", 0.1)
    with held.held(JobRun.of(PRUNE), 0) as is_lost:
        processes.wait_until(is_lost)


@pytest.mark.django_db(transaction=True)
def test_run__only_due_is_asked_again_once_the_lease_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[Work] = []
    work_as(monkeypatch, lambda given: calls.append(given) or Outcome())
    original = JobRun.acquire

    def overtaken(self: JobRun, holder: str, seconds: float) -> bool:
        # Another process ran it between the two looks.
        JobRun.objects.update(started_at=datetime.now(UTC), finished_at=datetime.now(UTC))
        return original(self, holder, seconds)

    with monkeypatch.context() as patch:
        patch.setattr(JobRun, "acquire", overtaken)
        assert jobs.run_job(PRUNE, is_only_due=True)["status"] == "nothing_due"
    assert calls == []
    assert jobs.run_job(PRUNE)["status"] == "done"
    assert jobs.run_job(PRUNE, is_only_due=True)["status"] == "nothing_due"
    assert len(calls) == 1


HANG = """
from geocache import jobs
from geocache.jobs import work

def hang(given):
    print("began", flush=True)
    import time; time.sleep(60)

work.WORK["geo_cache_flush"] = hang
jobs.geo_cache_flush()
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_run__process_that_is_killed_frees_the_job() -> None:
    writer.append(many_locations(3))
    process = processes.start_script(HANG)
    assert process.stdout is not None
    assert process.stdout.readline() == "began\n"

    busy = jobs.geo_cache_flush()
    assert (busy["status"], GeoCache.objects.count()) == ("busy", 0)
    assert JobRun.of("geo_cache_flush").state(datetime.now(UTC)) == "running"

    process.kill()
    process.communicate()
    assert JobRun.of("geo_cache_flush").state(datetime.now(UTC)) == "killed"
    assert jobs.geo_cache_flush()["status"] == "done"
    assert GeoCache.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_run__of_another_machine_that_was_killed_frees_the_job_when_its_lease_lapses() -> None:
    last = JobRun.of(PRUNE)
    assert last.acquire("elsewhere boot 4711 100 abc", held.LEASE_SECONDS)
    assert jobs.geo_prune_history()["error"].startswith("elsewhere, process 4711 runs it")
    JobRun.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert jobs.geo_prune_history()["status"] == "done"


@pytest.mark.django_db(transaction=True)
def test_run__reads_what_was_changed_before_it_begins() -> None:
    SettingOverride.objects.create(name="RETENTION_DAYS", value=30, changed_at=NOON)
    assert jobs.geo_prune()["status"] == "done"
    SettingOverride.objects.all().delete()
    assert jobs.geo_prune()["status"] == "disabled"
