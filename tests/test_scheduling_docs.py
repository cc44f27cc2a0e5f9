"""The examples of docs/scheduling.md, run as they stand there; that of Celery by a real worker."""

import re
from pathlib import Path
from typing import Any

import django
import pytest

from geocache import conf, jobs
from tests.support.documented_units import assert_valid, with_systemd
from tests.support.documents import examples
from tests.support.processes import ROOT

DOCUMENT = "scheduling.md"
PAGE = (ROOT / "docs" / DOCUMENT).read_text()


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(code, DOCUMENT, "exec"), names)
    return names


def test_page__has_a_row_for_each_job() -> None:
    rows = re.findall(r"^\| `(geo_\w+)` \| (.+?) \| (.+?) \|", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == [job.id for job in jobs.JOBS]
    for name in re.findall(r"`([A-Z]+_[A-Z_]+)`", str(rows)):
        assert conf.get(name) is not None


@pytest.mark.django_db(transaction=True)
def test_page__job_as_a_function(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = examples(DOCUMENT, "The jobs", "python")
    run(code)
    assert capsys.readouterr().out.startswith("done {'flushed': 0")


@pytest.mark.django_db(transaction=True)
def test_page__scheduler_of_the_host() -> None:
    (code,) = examples(DOCUMENT, "A host's APScheduler", "python")
    scheduler = run(code)["scheduler"]
    try:
        assert {job.id for job in scheduler.get_jobs()} == {job.id for job in jobs.enabled_jobs()}
    finally:
        scheduler.shutdown()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django 6.0 or later has tasks")
def test_page__task_of_django() -> None:
    (code,) = examples(DOCUMENT, "Django tasks", "python")
    assert run(code)["result"].return_value["status"] == "done"


@with_systemd
def test_page__systemd_units_are_valid(tmp_path: Path) -> None:
    assert_valid(DOCUMENT, "geocache", tmp_path)
