import io
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from geocache.bans import apply as bans
from geocache.journal import writer
from geocache.lookup import lookup
from geocache.models import Ban, FlushRun, ImportRun, ImportSource, SchedulerLease, SettingOverride
from tests.factories import LONDON, a_location, a_row, use_dummy_provider
from tests.support.assertions import no_database_write
from tests.support.ban_actions import RecordingAction, use_action
from tests.support.blocklists import imported
from tests.support.commands import run


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
    writer.append([a_location(resolved_at=now - timedelta(seconds=75))])
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


# --- lists ---------------------------------------------------------------------------------------


@pytest.fixture
def lists(settings: Any) -> None:
    """One that is complete, one that is overdue and fails, and one that never came; no bans."""
    use_dummy_provider(settings)
    sources = {"fails": "/srv/fails.txt", "new": "/srv/new.txt"}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": sources, "IMPORT_HOURS": 6}
    imported("1.1.1.1", "2.2.2.2", "5.6.7.0/24", name="by hand")
    imported("1.1.1.1", name="fails")
    now = timezone.now()
    ImportRun.objects.update(finished_at=now - timedelta(hours=13, seconds=10))
    ImportSource.objects.filter(name="fails").update(problem="gone\nfor good", attempted_at=now)


@pytest.mark.django_db
@pytest.mark.usefixtures("lists")
def test_status_geo__says_how_each_list_is() -> None:
    out, err, code = shown()
    age = "imported 13:00:10 (h:mm:ss) ago"
    said = re.sub(r"13:00:1\d", "13:00:10", out).split("\nLists")[1].splitlines()
    assert [line.strip() for line in said] == [
        f"by hand: 3 listed, 1 as networks, {age}, not in IMPORT_SOURCES",
        f"fails: 1 listed, 0 as networks, {age}. This is OVERDUE.",
        "failed: gone for good",
        "new: not imported yet",
    ]
    # As a flush that failed: it is said, and no part is unreadable.
    assert (err, code) == ("", 0)


@pytest.mark.django_db
@pytest.mark.usefixtures("lists")
def test_status_geo__lists_as_json() -> None:
    status = json.loads(shown("--json")[0])
    by_hand, fails, new = status["lists"]
    assert (by_hand["entries"], by_hand["networks"], by_hand["state"]) == (3, 1, "complete")
    assert fails["age_seconds"] == pytest.approx(46_810, abs=30)
    assert (fails["state"], fails["is_overdue"]) == ("failed", True)
    assert fails["problem"] == "gone for good"
    assert (new["state"], new["imported_at"], new["entries"]) == ("never", None, None)
    assert (status["bans"], status["problems"]) == (None, [])


@pytest.mark.django_db
def test_status_geo__list_that_is_not_wholly_imported(settings: Any) -> None:
    use_dummy_provider(settings)
    imported("1.1.1.1")
    ImportRun.objects.update(state="running")
    ImportSource.objects.update(current_run=None)
    assert rows(shown()[0])["Lists"] == "test: not wholly imported, not in IMPORT_SOURCES"
    ImportSource.objects.update(holder="host:1", expires_at=timezone.now() + timedelta(minutes=1))
    assert rows(shown()[0])["Lists"] == "test: being imported now, not in IMPORT_SOURCES"


@pytest.mark.django_db
def test_status_geo__bans_that_are_switched_off(settings: Any) -> None:
    use_dummy_provider(settings)
    use_action(settings, RecordingAction)
    imported("1.1.1.1", "2.2.2.2")
    settings.GEOCACHE = {**settings.GEOCACHE, "BANS_ENABLED": False}
    assert rows(shown()[0])["Bans"].startswith("switched off (BANS_ENABLED is False); 2 are in")
    bans.apply_due_bans()
    assert rows(shown()[0])["Bans"] == "switched off (BANS_ENABLED is False)"


@pytest.mark.django_db
def test_status_geo__bans(settings: Any) -> None:
    use_dummy_provider(settings)
    use_action(settings, RecordingAction)
    imported("1.1.1.1", "2.2.2.2", "10.0.0.1")
    out = shown()[0]
    assert ", 2 banned" in rows(out)["Lists"]
    assert rows(out)["Bans"].startswith("2 in force")
    assert "1 not banned: 1 private or special" in out
    assert json.loads(shown("--json")[0])["bans"] == {
        "count": 2,
        "has_action": True,
        "is_enabled": True,
        "is_due": False,
        "by_list": {"test": 2},
        "skipped": {"special": 1},
    }
    Ban.objects.filter(entry="1.1.1.1").delete()
    said = "1 in force; others are due, by the scheduler within a minute, or with manage.py ban_geo"
    assert rows(shown()[0])["Bans"].startswith(said)
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": None}
    said = (
        "1 recorded, but no action is configured that could end them: set BAN_ACTION as it was, "
        "and run manage.py ban_geo --end-all"
    )
    assert rows(shown()[0])["Bans"] == said


@pytest.mark.django_db
def test_status_geo__bans_that_make_no_sense_are_a_problem(settings: Any) -> None:
    use_dummy_provider(settings)
    imported("1.1.1.1")
    use_action(settings, "no.such.Action")
    out, err, code = shown()
    assert err.startswith("Problem: bans: BAN_ACTION makes no sense: ")
    assert rows(out)["Lists"].startswith("test: 1 listed")
    assert ("Bans" in rows(out), code) == (False, 1)


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


@pytest.mark.django_db
def test_explain__json_has_the_credit(settings: Any) -> None:
    use_dummy_provider(settings)
    a_row(LONDON, source="DBIP-City-Lite 2026-01-01")
    answer = json.loads(shown("--explain", LONDON, "--json")[0])["answer"]
    assert answer["credit"] == "IP Geolocation by DB-IP (CC BY 4.0), https://db-ip.com"


@pytest.mark.parametrize("bad", ["", "x", "1.2.3", "81.2.69.0/24", "1" * 500])
def test_explain__what_is_no_address_is_one_line(bad: str) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("status_geo", "--explain", bad)
    assert str(caught.value).endswith("is not an IP address")
    assert len(str(caught.value)) < 80


@pytest.mark.django_db
def test_status_geo__settings_changed_in_the_admin() -> None:
    assert "Settings" not in rows(shown()[0])
    SettingOverride.objects.create(
        name="MEMORY_SIZE", value=7, changed_by="ann", changed_at=timezone.now()
    )
    SettingOverride.objects.create(name="GONE", value=1, changed_at=timezone.now())
    assert rows(shown()[0])["Settings"] == "2 changed in the admin: GONE, MEMORY_SIZE"
    gone, size = json.loads(shown("--json")[0])["settings"]
    assert (gone["name"], gone["source"]) == ("GONE", "unknown")
    assert (size["value"], size["source"], size["by"]) == (7, "admin", "ann")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ""),
        ({"EDGE_HEADERS": "vercel"}, "Vercel headers, where the databases know nothing"),
        ({"EDGE_HEADERS": "vercel", "EDGE_MODE": "only"}, "Vercel headers, alone"),
        ({"EDGE_HEADERS": {"asn": "X-ASN"}}, "Edge headers, where the databases know nothing"),
        (
            {"EDGE_HEADERS": "vercel", "TRUSTED_PROXIES": []},
            "Vercel headers: not read, as TRUSTED_PROXIES is empty",
        ),
        (
            {"EDGE_HEADERS": "vercel", "TRUSTED_PROXIES": ["::/0"]},
            "Vercel headers: not read, as TRUSTED_PROXIES holds all addresses",
        ),
    ],
)
def test_status_geo__headers_of_the_edge(settings: Any, given: dict[str, Any], said: str) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["10.0.0.1"], **given}
    assert json.loads(shown("--json")[0])["edge"] == said
    # A long row is folded.
    out = " ".join(shown()[0].split())
    assert (f"Edge {said}" in out) is bool(said)
