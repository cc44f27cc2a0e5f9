import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from geocache.journal import flush, writer
from geocache.journal.flush import FlushReport
from geocache.management.commands import flush_geo
from geocache.models import GeoCache
from geocache.statistics.table import read_statistics
from tests.factories import a_location, many_locations
from tests.support.commands import run


def flushed(*arguments: str) -> str:
    out = io.StringIO()
    call_command("flush_geo", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_flush_geo__says_what_it_did_in_one_line() -> None:
    writer.append(many_locations(3))
    out = flushed()
    assert out.startswith("3 flushed, 0 rejected, 0 pending, in ")
    assert out.count("\n") == 1
    assert GeoCache.objects.count() == 3
    assert (snapshot := read_statistics()) is not None
    assert snapshot.row_count == 3


@pytest.mark.django_db(transaction=True)
def test_flush_geo__json() -> None:
    writer.append([a_location()])
    report = json.loads(flushed("--json"))
    assert report.pop("seconds") > 0
    assert report == {"flushed": 1, "rejected": 0, "pending": 0, "timed_out": False}


@pytest.mark.django_db(transaction=True)
def test_flush_geo__nothing_to_flush_is_no_failure() -> None:
    assert json.loads(flushed("--json"))["flushed"] == 0


@pytest.mark.django_db(transaction=True)
def test_flush_geo__a_time_limit_that_leaves_some_is_75(monkeypatch: Any) -> None:
    monkeypatch.setattr(flush, "BATCH_SEGMENTS", 1)
    for _ in range(3):
        writer.process_writer.reset()
        writer.append([a_location()])
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"^The time limit left \d answers") as raised:
        call_command("flush_geo", "--time-limit", "1e-9", "--json", stdout=out)
    assert raised.value.returncode == 75
    assert json.loads(out.getvalue())["timed_out"] is True
    assert json.loads(flushed("--json"))["pending"] == 0


@pytest.mark.django_db
def test_flush_geo__passes_the_time_limit_on(monkeypatch: Any) -> None:
    given: list[float | None] = []

    def flush_dirty(time_limit: float | None, *, alias: str | None) -> FlushReport:
        assert alias is None
        given.append(time_limit)
        return FlushReport()

    monkeypatch.setattr(flush_geo, "flush_dirty", flush_dirty)
    monkeypatch.setattr(flush_geo, "database_problem", str)
    flushed()
    flushed("--time-limit", "2.5")
    assert given == [None, 2.5]


@pytest.mark.django_db(transaction=True)
def test_flush_geo__a_cache_that_cannot_hold_the_journal(settings: Any) -> None:
    backend = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {**settings.CACHES, "geocache": {"BACKEND": backend}}
    with pytest.raises(CommandError, match=r"^LocMemCache cannot hold the journal") as raised:
        flushed()
    assert raised.value.returncode == 1


@pytest.mark.django_db
def test_flush_geo__an_unmigrated_database(monkeypatch: Any) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", list)
    with pytest.raises(CommandError, match=r"run manage\.py migrate\.$"):
        flushed()


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e9", "soon", ""])
def test_flush_geo__refuses_a_time_limit(text: str) -> None:
    with pytest.raises(CommandError, match=f"'{text}' is not a number of seconds above 0"):
        call_command("flush_geo", f"--time-limit={text}")


@pytest.mark.slow
def test_flush_geo__what_is_away_is_one_line(tmp_path: Path) -> None:
    away = {
        "database": {"DATABASE_URL": f"sqlite:///{tmp_path}/none/db.sqlite3"},
        "cache": {"CACHE_URL": "redis://:secret@127.0.0.1:1/0"},
    }
    assert run(tmp_path, "migrate", "-v0").returncode == 0
    for what, variables in away.items():
        done = run(tmp_path, "flush_geo", **variables)
        lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
        assert (done.returncode, done.stdout, len(lines)) == (1, "", 1)
        assert f"the {what} cannot be reached" in done.stderr
        assert "secret" not in done.stderr


@pytest.mark.slow
def test_flush_geo__exit_codes_on_a_command_line(tmp_path: Path) -> None:
    unmigrated = run(tmp_path, "flush_geo")
    assert (unmigrated.returncode, len(unmigrated.stderr.splitlines())) == (1, 1)
    assert run(tmp_path, "migrate", "-v0").returncode == 0
    assert run(tmp_path, "flush_geo").returncode == os.EX_OK
    assert run(tmp_path, "flush_geo", "--time-limit", "-1").returncode == 2
