import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from geocache import jobs
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
    assert set(schedule) == {FLUSH, "geo_prune", "geo_prune_history"}
    assert schedule[FLUSH] == {
        "task": "geocache.geo_cache_flush",
        "schedule": 30.0,
        "options": {"expires": 30.0, "time_limit": 360, "queue": "slow"},
    }


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
