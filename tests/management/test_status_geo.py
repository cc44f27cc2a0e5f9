import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from geocache import journal
from geocache.lookup import lookup
from geocache.models import FlushRun, SchedulerLease
from tests.assertions import no_database_write
from tests.factories import LONDON, a_location, a_row, use_dummy_provider
from tests.management.commands import run


def shown(*arguments: str) -> tuple[str, str, int]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("status_geo", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return out.getvalue(), err.getvalue(), int(str(end.code))
    return out.getvalue(), err.getvalue(), 0


def rows(out: str) -> dict[str, str]:
    """The lines by their first column."""
    pairs = (line.split("  ", 1) for line in out.splitlines() if not line.startswith(" "))
    return {name: value.strip() for name, value in pairs}


@pytest.mark.django_db
def test_status_geo__of_a_new_installation(settings: Any) -> None:
    use_dummy_provider(settings)
    out, err, code = shown()
    table = rows(out)
    assert list(table) == [
        "Pending",
        "Last flush",
        "Table",
        "Rejected",
        "Lost",
        "Provider",
        "Cache",
        "Scheduler",
    ]
    assert table["Pending"] == "0 answers"
    assert table["Last flush"] == "none yet"
    assert table["Lost"] == "nothing"
    assert table["Provider"] == "Dummy 1"
    assert table["Scheduler"].startswith("none is running")
    assert (err, code) == ("", 0)


@pytest.mark.django_db
def test_status_geo__of_one_at_work() -> None:
    now = timezone.now()
    journal.append([a_location(resolved_at=now - timedelta(seconds=75))])
    a_row()
    SchedulerLease.objects.create(
        name="geo_scheduler", holder="host:1", expires_at=now + timedelta(minutes=1)
    )
    FlushRun.objects.create(
        started_at=now, seconds=0.5, flushed=3000, rejected=1, pending=0, timed_out=False
    )
    out, _, code = shown()
    table = rows(out)
    assert table["Pending"].startswith("1 answers, the oldest waits for 0:01:1")
    assert table["Last flush"].endswith(" UTC: 3,000 flushed, 1 rejected, in 0.50 s")
    assert table["Table"].startswith("1 rows")
    assert table["Scheduler"] == "running, host:1"
    assert code == 0


@pytest.mark.django_db
def test_status_geo__a_flush_that_failed_says_why() -> None:
    FlushRun.objects.create(
        started_at=timezone.now(),
        seconds=0.5,
        flushed=0,
        rejected=0,
        pending=0,
        timed_out=False,
        error="no space left",
    )
    assert "failed: no space left" in shown()[0]


@pytest.mark.django_db
def test_status_geo__a_part_that_cannot_be_read_is_a_problem(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": ["/none.mmdb"]}
    out, err, code = shown()
    assert err == "Problem: provider: /none.mmdb: No such file or directory\n"
    assert rows(out)["Provider"] == "not known"
    assert rows(out)["Pending"] == "0 answers"
    assert code == 1


@pytest.mark.django_db
def test_status_geo__json(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": ["/none.mmdb"]}
    out, err, code = shown("--json")
    status = json.loads(out)
    assert status["problems"] == ["provider: /none.mmdb: No such file or directory"]
    assert (status["pending"], status["rows"], status["sources"]) == (0, 0, [])
    assert (err, code) == ("", 1)


@pytest.mark.slow
def test_status_geo__runs_whatever_is_broken(tmp_path: Path) -> None:
    broken = {
        "GEOCACHE_DATABASES": "/none.mmdb",
        "CACHE_URL": "redis://:secret@127.0.0.1:1/0",
    }
    assert run(tmp_path, "migrate", "-v0").returncode == 0
    done = run(tmp_path, "status_geo", **broken)
    assert done.returncode == 1
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["provider", "journal"]
    assert rows(done.stdout)["Table"] == "0 rows (sqlite)"
    away = run(tmp_path, "status_geo", DATABASE_URL=f"sqlite:///{tmp_path}/none/db.sqlite3")
    assert away.returncode == 1
    assert "the database cannot be reached" in away.stderr
    assert "GeoLite2-City" in away.stdout
    assert "Traceback" not in done.stderr + away.stderr
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.django_db
def test_status_geo__shows_what_was_asked_of_a_provider_that_costs(settings: Any) -> None:
    provider = use_dummy_provider(settings, is_metered=True, queries_per_day=1000)
    provider.queries_remaining = 12_000
    lookup(LONDON)
    out, _, code = shown()
    shown_usage = "Dummy 1: 1 of 1,000, 12,000 left as the service says"
    assert (rows(out)["Queries today"], code) == (shown_usage, 0)


# --- one address ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_explain__of_a_new_answer(settings: Any) -> None:
    use_dummy_provider(settings, answers={LONDON: {"city": "London", "country_code": "GB"}})
    lookup(LONDON)
    with no_database_write(max_queries=4):
        out, err, code = shown("--explain", LONDON)
    table = rows(out)
    assert table["Answer"] == "London, GB"
    assert table["Source"] == "Dummy 1"
    assert table["Build in use"] == "dummy-1"
    assert table["Cache key"].endswith(f":{LONDON}")
    assert table["Kept in"] == "the cache, as a hot entry"
    assert (table["Stale"], table["It costs"]) == ("no", "nothing")
    assert table["A look-up now"] == "is answered by the hot entry"
    assert (err, code) == ("", 0)


@pytest.mark.django_db
def test_explain__asks_nobody_that_costs(settings: Any) -> None:
    provider = use_dummy_provider(settings, is_metered=True, queries_per_day=1000)
    table = rows(shown("--explain", LONDON)[0])
    assert table["Answer"] == "none is remembered"
    assert table["A look-up now"] == "asks Dummy 1"
    assert table["It costs"] == "one query of Dummy 1, of which 1,000 are left today"
    assert provider.asked == []


@pytest.mark.django_db
def test_explain__json(settings: Any) -> None:
    use_dummy_provider(settings, is_metered=True)
    a_row("81.2.69.7", resolved_at=timezone.now())
    out, err, code = shown("--explain", f"::ffff:{LONDON}", "--json")
    told = json.loads(out)
    assert (told["address"], told["tier"]) == (LONDON, "network")
    assert (told["known_network"], told["queries"]) == ("81.2.69.0/24", 0)
    assert (err, code) == ("", 0)


@pytest.mark.parametrize("bad", ["", "x", "1.2.3", "81.2.69.0/24", "1" * 500])
def test_explain__what_is_no_address_is_one_line(bad: str) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("status_geo", "--explain", bad)
    assert str(caught.value).endswith("is not an IP address")
    assert len(str(caught.value)) < 80
