import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from geocache import jobs
from geocache.exceptions import FlushError
from geocache.jobs import work
from geocache.journal import writer
from geocache.models import GeoCache, ImportSource, JobRun
from geocache.statistics.table import read_statistics
from tests.factories import a_row, many_locations, use_dummy_provider
from tests.support import processes

FLUSH, HISTORY = "geo_cache_flush", "geo_prune_history"


def run(*arguments: str) -> tuple[str, str, int]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("run_geo", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return out.getvalue(), err.getvalue(), int(str(end.code))
    return out.getvalue(), err.getvalue(), 0


def failing(*_: Any, **__: Any) -> Any:
    raise FlushError("the database is away")


@pytest.mark.django_db(transaction=True)
def test_run_geo__runs_what_is_due_in_one_line_a_job() -> None:
    writer.append(many_locations(3))
    out, err, code = run()
    heading, _, flush, history = out.splitlines()
    assert heading.split() == ["Job", "Status", "Seconds", "What"]
    assert flush.split()[:2] == [FLUSH, "done"]
    assert flush.endswith("3 flushed")
    assert history.split()[:2] == [HISTORY, "done"]
    assert (err, code) == ("", 0)
    assert GeoCache.objects.count() == 3
    # As after every flush.
    statistics = read_statistics()
    assert statistics is not None
    assert statistics.row_count == 3


@pytest.mark.django_db(transaction=True)
def test_run_geo__second_time_only_the_flush_is_due() -> None:
    run()
    assert [line.split()[0] for line in run()[0].splitlines()[2:]] == [FLUSH]
    assert run("--only", HISTORY)[0] == "Nothing is due.\n"
    assert run("--only", HISTORY, "--force")[0].splitlines()[2].split()[:2] == [HISTORY, "done"]


@pytest.mark.django_db(transaction=True)
def test_run_geo__json_is_all_of_the_output() -> None:
    run()
    out, err, code = run("--json")
    plain = json.loads(out)
    assert [(one["job"], one["status"]) for one in plain["jobs"]] == [
        (FLUSH, "done"),
        (HISTORY, "nothing_due"),
    ]
    assert (plain["left"], err, code) == ([], "", 0)


@pytest.mark.django_db(transaction=True)
def test_run_geo__failure_is_1_and_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "flush_dirty", failing)
    out, err, code = run()
    assert [line.split()[1] for line in out.splitlines()[2:]] == ["failed", "done"]
    assert err == f"{FLUSH} failed: the database is away\n"
    assert code == 1
    out, _, code = run("--json")
    assert json.loads(out)["jobs"][0]["error"] == "the database is away"
    assert code == 1


@pytest.mark.django_db(transaction=True)
def test_run_geo__busy_is_0_and_a_line() -> None:
    assert JobRun.of(FLUSH).acquire("web1 boot 4711 100 abc", 60)
    out, err, code = run("--only", FLUSH)
    assert out.splitlines()[2].split()[:2] == [FLUSH, "busy"]
    assert out.endswith("web1, process 4711 runs it at this moment\n")
    assert (err, code) == ("", 0)


@pytest.mark.django_db(transaction=True)
def test_run_geo__job_that_is_named_and_off_says_so() -> None:
    out, _, code = run("--only", "geo_prune")
    assert out.splitlines()[2].split()[:2] == ["geo_prune", "disabled"]
    assert code == 0
    assert "geo_prune " not in run("--force")[0]


@pytest.mark.django_db(transaction=True)
def test_run_geo__lists_jobs_and_writes_nothing() -> None:
    run()
    out, _, code = run("--list")
    lines = {line.split()[0]: line for line in out.splitlines()[2:]}
    assert list(lines) == [job.id for job in jobs.JOBS]
    assert lines[FLUSH].split()[1:3] == ["1", "min"]
    assert lines[FLUSH].endswith("now")
    assert lines["geo_bans"].endswith("disabled")
    assert "never" in lines["geo_bans"]
    assert lines[HISTORY].endswith("UTC")
    assert code == 0
    plain = json.loads(run("--list", "--json", "--only", FLUSH)[0])
    assert [one["job"] for one in plain["jobs"]] == [FLUSH]
    assert JobRun.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_run_geo__force_looks_at_lists_that_are_not_due(settings: Any, tmp_path: Path) -> None:
    use_dummy_provider(settings)
    (tmp_path / "own").write_text("1.1.1.1\n")
    sources = {"own": str(tmp_path / "own")}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": sources}
    arguments = ("--json", "--only", "geo_import")

    def status(*more: str) -> str:
        [report] = json.loads(run(*arguments, *more)[0])["jobs"]
        return str(report["detail"]["lists"][0]["status"] if report["detail"] else report["status"])

    assert status() == "applied"
    assert status() == "nothing_due"
    assert status("--force") == "unchanged"
    assert ImportSource.objects.get().problem == ""


@pytest.mark.django_db(transaction=True)
def test_run_geo__time_limit_leaves_jobs_to_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 0.0, 99.0])
    monkeypatch.setattr(
        "geocache.management.commands.run_geo.time.monotonic", lambda: next(clock, 99.0)
    )
    out, err, code = run("--time-limit", "10")
    assert [line.split()[0] for line in out.splitlines()[2:]] == [FLUSH]
    assert err == f"Stopped before its end; left to the next run: {HISTORY}.\n"
    assert code == 0


def test_run_geo__job_that_does_not_exist_is_refused() -> None:
    with pytest.raises(CommandError, match="invalid choice: 'geo_x'"):
        run("--only", "geo_x")


SLOW = """
import sys, time
from geocache.jobs import work
from django.core.management import execute_from_command_line

def refresh(given):
    print("began", flush=True)
    while not given.is_stopped():
        time.sleep(0.05)
    return work.Outcome(detail={"resolved": 7})

work.WORK["geo_refresh"] = refresh
execute_from_command_line(["manage.py", "run_geo", "--only", "geo_refresh", "geo_prune_history"])
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_geo__signal_ends_it_after_the_batch_at_hand(number: int) -> None:
    a_row()
    process = processes.start_script(SLOW, GEOCACHE_REFRESH_SECONDS="60")
    assert process.stdout is not None
    assert process.stdout.readline() == "began\n"
    # A second one at the same moment leaves it alone.
    other = processes.start(
        "run_geo", "--only", "geo_refresh", "--force", GEOCACHE_REFRESH_SECONDS="60"
    )
    assert "busy" in other.communicate(timeout=60)[0]
    assert other.returncode == 0

    output = processes.stop(process, number)

    assert process.returncode == 0, output
    assert "7 resolved" in output
    assert f"left to the next run: {HISTORY}" in output
    assert "Traceback" not in output
    assert (JobRun.of("geo_refresh").status, JobRun.of("geo_refresh").holder) == ("done", "")


@pytest.mark.slow
def test_run_geo__database_without_tables_is_one_clear_line(tmp_path: Path) -> None:
    process = processes.start("run_geo", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "No job was run: the database is not migrated; run manage.py migrate" in output
    assert "Traceback" not in output
