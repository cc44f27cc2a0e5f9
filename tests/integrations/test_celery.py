import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.beat import Scheduler

from geocache import conf, jobs
from geocache.integrations import celery as integration
from geocache.journal import writer
from geocache.models import GeoCache, JobRun
from geocache.statistics.table import read_statistics
from tests.factories import many_locations
from tests.support import processes
from tests.support.documents import examples

FLUSH = "geo_cache_flush"


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("tests", set_as_current=True, broker="memory://", backend="cache+memory://")
    app.conf.update(task_always_eager=True, task_store_eager_result=True)
    yield app
    app.close()


def test_tasks__each_job_is_one_under_a_stable_name(app: Celery) -> None:
    ours = {name for name in app.tasks if name.startswith("geocache.")}
    assert ours == {f"geocache.{job.id}" for job in jobs.JOBS}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("app")
def test_task__returns_the_report() -> None:
    writer.append(many_locations(3))
    report = integration.geo_cache_flush.delay().get()
    assert json.loads(json.dumps(report)) == report
    assert (report["status"], report["detail"]["flushed"]) == ("done", 3)
    assert read_statistics() is not None


def test_beat_schedule__is_that_of_the_settings(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "FLUSH_INTERVAL_SECONDS": 30, "RETENTION_DAYS": 9}
    schedule = integration.beat_schedule(queue="slow")
    assert set(schedule) == {job.id for job in jobs.JOBS}
    entry = schedule[FLUSH]
    assert entry["task"] == "geocache.geo_cache_flush"
    assert entry["schedule"].run_every == timedelta(seconds=30)
    assert entry["options"] == {"expires": 30.0, "time_limit": 360, "queue": "slow"}


@pytest.fixture
def beat(app: Celery) -> Scheduler:
    app.conf.beat_schedule = integration.beat_schedule(queue="slow")
    return Scheduler(app)


def test_job_schedule__follows_a_setting_that_is_changed_while_beat_runs(beat: Scheduler) -> None:
    conf.override({"FLUSH_INTERVAL_SECONDS": 3600, "FLUSH_TIME_LIMIT_SECONDS": 60})
    entry = beat.schedule[FLUSH]
    entry.last_run_at = entry.default_now() - timedelta(seconds=100)
    assert entry.is_due() == (False, integration.CHECK_SECONDS)
    conf.override({"FLUSH_INTERVAL_SECONDS": 60, "FLUSH_TIME_LIMIT_SECONDS": 1000})
    assert entry.is_due() == (True, integration.CHECK_SECONDS)
    assert entry.options == {"expires": 60.0, "time_limit": 1300, "queue": "slow"}


def test_job_schedule__job_that_is_switched_on_while_beat_runs_is_sent(beat: Scheduler) -> None:
    entry = beat.schedule["geo_prune"]
    entry.last_run_at = entry.default_now() - timedelta(days=2)
    assert not entry.is_due().is_due
    conf.override({"RETENTION_DAYS": 30})
    assert entry.is_due().is_due


def test_job_schedule__beat_asks_each_again_within_seconds(beat: Scheduler) -> None:
    assert beat.tick() <= integration.CHECK_SECONDS


def test_job_schedule__is_kept_in_the_schedule_file_of_beat(beat: Scheduler) -> None:
    entry = pickle.loads(pickle.dumps(beat.schedule[FLUSH]))
    assert entry == beat.schedule[FLUSH]
    conf.override({"FLUSH_INTERVAL_SECONDS": 7})
    assert entry.schedule.run_every == timedelta(seconds=7)
    assert not entry.is_due().is_due
    assert entry.options["expires"] == 7.0


def test_job_schedule__options_of_the_project_count_before_ours(app: Celery) -> None:
    app.conf.beat_schedule = integration.beat_schedule(time_limit=5)
    entry = Scheduler(app).schedule[FLUSH]
    entry.is_due()
    assert entry.options["time_limit"] == 5


def test_integration__without_celery_is_one_clear_line() -> None:
    code = "import sys; sys.modules['celery'] = None; import geocache.integrations.celery"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (
        'celery is not installed; install geocache with the extra "celery"'
        in (done.stderr.splitlines()[-1])
    )


BROKER = """
from django.conf import settings

settings.GEOCACHE["FLUSH_INTERVAL_SECONDS"] = 1
app.conf.update(
    broker_url="filesystem://",
    broker_transport_options={{"data_folder_in": {0!r}, "data_folder_out": {0!r}}},
    task_ignore_result=True,
    beat_schedule_filename={1!r},
    worker_hijack_root_logger=False,
)
"""


def rows() -> int:
    return GeoCache.objects.count()


OPTIONS = ["worker", "--beat", "--pool", "solo", "--loglevel", "info"]
OPTIONS += ["--without-gossip", "--without-mingle", "--without-heartbeat"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_celery__real_worker_and_beat_run_the_flush_again_and_again(tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    queue.mkdir()
    (code,) = examples("scheduling.md", "Celery", "python")
    module = code + BROKER.format(str(queue), str(tmp_path / "beat"))
    (tmp_path / "mysite_celery.py").write_text(module)
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "mysite_celery", *OPTIONS],
        cwd=tmp_path,
        env=processes.environment(PYTHONPATH=f"{processes.ROOT}:{tmp_path}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for is_there in (lambda: rows() == 3, lambda: rows() == 6):
            writer.append(many_locations(rows() + 3))
            processes.wait_until(is_there, seconds=60)
    finally:
        output = processes.stop(process)
    assert process.returncode == 0, output
    assert JobRun.of(FLUSH).status == "done"
    assert "geocache.geo_cache_flush" in output
    assert "Traceback" not in output
