"""Each state that is wrong beside what is found; a state that is well finds nothing."""

import re
from datetime import timedelta
from typing import Any

import pytest

from geocache.bans.protection import Reason
from geocache.blocklists.status import BanOverview, ListOverview, ListState
from geocache.health.finding import Finding
from geocache.health.findings import find, overall
from geocache.models import FlushRun, JobRun
from geocache.provider_outages import Outage
from geocache.providers.base import Source
from geocache.providers.quota import Usage
from geocache.status import DATABASE, UNMIGRATED, Status
from tests.factories import NOON
from tests.support.processes import ROOT

pytestmark = pytest.mark.any_services

WELL: dict[str, Any] = {
    "pending_count": 0,
    "last_flush": FlushRun(started_at=NOON, error=""),
    "rejected_count": 0,
    "lost_record_count": 0,
    "unrecorded_count": 0,
    "cache_backend": "tests.Cache",
    "is_journal_possible": True,
    "is_scheduler_alive": True,
    "is_flush_scheduled": True,
}


@pytest.fixture(autouse=True)
def limits(settings: Any) -> None:
    given: dict[str, Any] = {
        "BACKLOG_LIMIT": 1000,
        "FLUSH_INTERVAL_SECONDS": 60,
        "IMPORT_SOURCES": {"a": "/a"},
    }
    given |= {"DATABASES": [], "UPDATE_DAYS": 7, "REFRESH_TIME_LIMIT_SECONDS": 600}
    action = {"BACKEND": "tests.support.ban_actions.RecordingAction"}
    settings.GEOCACHE = {**settings.GEOCACHE, **given, "BAN_ACTION": action}


def found(**fields: Any) -> list[Finding]:
    return find(Status(**{**WELL, **fields}), NOON)


def told(**fields: Any) -> list[tuple[str, str, str]]:
    """Return part, level and anchor of each."""
    return [(one.part, one.level, one.page.partition("#")[2]) for one in found(**fields)]


FLUSH = "geo_cache_flush"


def a_job(job: str, state: str, **fields: Any) -> JobRun:
    ended = None if state == "killed" else NOON
    started = NOON - timedelta(seconds=5)
    return JobRun(job=job, started_at=started, finished_at=ended, status=state, **fields)


def a_list(**fields: Any) -> ListOverview:
    return ListOverview(name="a", state=ListState.COMPLETE, is_configured=True, **fields)


def an_outage(*, minutes: int, is_only: bool = True) -> Outage:
    return Outage("Service", NOON - timedelta(minutes=minutes), NOON, is_only)


def bans(*, is_due: bool = False, has_action: bool = True) -> BanOverview:
    skipped: dict[Reason, int] = {}
    return BanOverview(count=3, has_action=has_action, is_due=is_due, by_list={}, skipped=skipped)


def test_find__nothing_of_what_is_well() -> None:
    old = Source(name="City", built_at=NOON - timedelta(days=90))
    assert told(sources=(old,), job_runs=(a_job("geo_prune", "busy"),), bans=bans()) == []


AWAY = {"is_journal_possible": None, "pending_count": None, "errors": {"journal": "refused"}}
NO_DATABASE = {"errors": {DATABASE: "the database cannot be reached: refused"}}
SILENT = {"errors": {"lists": "no answer within 120 ms"}, "silent_parts": frozenset(["lists"])}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (AWAY, ("cache", "critical", "cache-unavailable")),
        ({"errors": {"cache": "no such class"}}, ("cache", "critical", "cache-unavailable")),
        ({"is_journal_possible": False}, ("cache", "warning", "cache-unusable")),
        (NO_DATABASE, ("database", "critical", "database-unavailable")),
        ({"errors": {DATABASE: UNMIGRATED}}, ("database", "critical", "database-not-migrated")),
        (SILENT, ("lists", "warning", "part-slow")),
        ({"pending_count": 499}, None),
        ({"pending_count": 500}, ("journal", "warning", "journal-backlog")),
        ({"pending_count": 1000}, ("journal", "critical", "journal-backlog")),
        ({"oldest_pending_seconds": 180}, None),
        ({"oldest_pending_seconds": 181}, ("journal", "warning", "journal-backlog")),
        ({"oldest_pending_seconds": 7201}, ("journal", "critical", "journal-backlog")),
        ({"errors": {"journal": "odd"}}, ("journal", "warning", "cache-unavailable")),
        ({"errors": {"flushes": "odd"}}, ("flush", "warning", "database-unavailable")),
        ({"last_flush": None}, None),
        ({"last_flush": FlushRun(error="full")}, ("flush", "critical", "flush-failed")),
        ({"is_flush_scheduled": False}, None),
        (
            {"is_flush_scheduled": False, "pending_count": 1, "oldest_pending_seconds": 900},
            ("scheduler", "warning", "flush-not-scheduled"),
        ),
        (
            {"is_flush_scheduled": False, "pending_count": 1, "oldest_pending_seconds": 7201},
            ("scheduler", "critical", "flush-not-scheduled"),
        ),
        ({"job_runs": (a_job("geo_refresh", "failed"),)}, ("jobs", "warning", "job-failed")),
        ({"job_runs": (a_job("geo_refresh", "killed"),)}, ("jobs", "warning", "job-failed")),
        (
            {"job_runs": (a_job(FLUSH, "failed"),)},
            ("flush", "critical", "flush-failed"),
        ),
        ({"job_runs": (a_job(FLUSH, "killed"),)}, ("flush", "warning", "flush-failed")),
        ({"job_runs": (a_job("geo_bans", "failed"),)}, ("bans", "critical", "bans-failed")),
        (
            {"job_runs": (a_job("geo_database_update", "failed"),)},
            ("provider", "warning", "update-failed"),
        ),
        # Not of this release, and one that the settings do not want.
        ({"job_runs": (a_job("geo_gone", "failed"), a_job("geo_prune", "failed"))}, None),
        ({"job_runs": (JobRun(job="geo_refresh"),)}, None),
        ({"errors": {"provider": "no file"}}, ("provider", "critical", "provider-failed")),
        ({"doubts": ("odd",)}, ("provider", "warning", "provider-failed")),
        ({"outages": (an_outage(minutes=2),)}, ("provider", "warning", "provider-failed")),
        ({"outages": (an_outage(minutes=5),)}, ("provider", "critical", "provider-failed")),
        (
            {"outages": (an_outage(minutes=60, is_only=False),)},
            ("provider", "warning", "provider-failed"),
        ),
        (
            {"sources": (Source(name="City", built_at=NOON, is_fallback=True),)},
            ("provider", "warning", "no-database"),
        ),
        (
            {"sources": (Source(name="City", built_at=NOON - timedelta(days=91)),)},
            ("provider", "warning", "database-old"),
        ),
        ({"usages": (Usage(provider="p", asked_count=79, limit=100),)}, None),
        (
            {"usages": (Usage(provider="p", asked_count=80, limit=100),)},
            ("quota", "warning", "quota-low"),
        ),
        (
            {"usages": (Usage(provider="p", asked_count=100, limit=100),)},
            ("quota", "critical", "quota-spent"),
        ),
        (
            {"usages": (Usage(provider="p", asked_count=1, remaining_count=0),)},
            ("quota", "critical", "quota-spent"),
        ),
        ({"lists": (a_list(problem="gone"),)}, ("lists", "warning", "blocklist-failed")),
        ({"lists": (a_list(is_overdue=True),)}, ("lists", "warning", "blocklist-overdue")),
        ({"errors": {"bans": "no socket"}}, ("bans", "critical", "bans-failed")),
        ({"bans": bans(has_action=False)}, ("bans", "warning", "bans-failed")),
        ({"bans": bans(is_due=True)}, ("bans", "critical", "bans-failed")),
        ({"bans": bans(is_due=True), "job_runs": (a_job("geo_bans", "done"),)}, None),
        ({"rejected_count": 1}, ("rejected", "warning", "rejected-entries")),
        ({"lost_record_count": 1}, ("lost", "warning", "lost-records")),
        ({"unrecorded_count": 1}, ("lost", "warning", "unrecorded-answers")),
    ],
)
def test_find__what_is_wrong(fields: dict[str, Any], expected: tuple[str, str, str] | None) -> None:
    assert told(**fields) == ([expected] if expected else [])


def test_find__job_of_licences_that_failed(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "LICENCE_CLEANUP": True}
    found = told(job_runs=(a_job("geo_licence", "failed"),))
    assert found == [("licence", "warning", "licence-outdated")]


@pytest.mark.parametrize(
    ("silent", "expected"),
    [
        ({"database", "flushes", "lists", "scheduler", "journal"}, {"database"}),
        ({"cache", "queries", "journal"}, {"cache"}),
        ({"provider"}, {"provider"}),
        ({"journal"}, {"journal"}),
        ({"database", "cache", "journal", "bans"}, {"database", "cache"}),
    ],
)
def test_find__of_parts_that_hang_only_the_cause_is_said(
    silent: set[str], expected: set[str]
) -> None:
    errors = dict.fromkeys(silent, "no answer within 120 ms")
    fields: dict[str, Any] = {"errors": errors, "silent_parts": frozenset(silent)}
    if "cache" in silent:
        fields |= {"cache_backend": "", "is_journal_possible": None}
    found_ones = found(**fields)
    assert {one.part for one in found_ones} == expected
    assert {one.page for one in found_ones} == {"docs/troubleshooting.md#part-slow"}
    vital = {one.part for one in found_ones if one.is_critical}
    assert vital == expected & {"cache", "database"}


def test_find__an_unmigrated_database_of_another_alias_names_its_command() -> None:
    (one,) = found(errors={DATABASE: f"{UNMIGRATED} --database geo"})
    assert one.text.endswith("Run manage.py migrate --database geo.")


def test_find__the_worst_comes_first() -> None:
    levels = [one.level for one in found(rejected_count=1, is_journal_possible=None, doubts=("x",))]
    assert levels == ["critical", "warning", "warning"]


def test_find__a_text_is_one_line_with_numbers_that_can_be_read() -> None:
    (one,) = found(lists=(a_list(problem="gone\n\tbecause"),))
    assert one.text == "a: the last import failed: gone because."
    (one,) = found(rejected_count=1234)
    assert one.text.startswith("The database has refused 1,234 answers.")


@pytest.mark.parametrize(
    ("fields", "level"),
    [({}, "ok"), ({"rejected_count": 1}, "warning"), (NO_DATABASE, "critical")],
)
def test_overall__is_the_worst(fields: dict[str, Any], level: str) -> None:
    assert overall(found(**fields)) == level


def test_find__names_a_section_that_the_page_has() -> None:
    page = ROOT / "docs/troubleshooting.md"
    if not page.exists():
        pytest.skip("the page comes with another branch")
    sources = [(ROOT / f"geocache/health/{one}.py").read_text() for one in ("storage", "work")]
    named = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', "".join(sources)))
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    written = {one.strip("`").lower().replace(" ", "-") for one in headings}
    anchors = written | set(re.findall(r'(?:id|name)="([a-z-]+)"', page.read_text()))
    assert len(named) > 15
    assert named <= anchors


def test_find__each_failed_list_instead_of_the_job_that_failed() -> None:
    failed = a_list(problem="/a cannot be read")

    (one,) = found(lists=(failed,), job_runs=(a_job("geo_import", "failed"),))

    # An error seldom ends as a sentence does; the page is named after it.
    assert one.text == "a: the last import failed: /a cannot be read."
