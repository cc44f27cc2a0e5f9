from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from django_apscheduler.models import DjangoJob, DjangoJobExecution

from geocache import conf, jobs
from geocache.databases import update as databases_update
from geocache.databases.update import Outcome
from geocache.exceptions import BanError, FlushError, ProviderError, UpdateBusy, UpdateError
from geocache.history.moves import MoveReport
from geocache.jobs import work
from geocache.journal import writer
from geocache.locks.file_lock import exclusive_lock
from geocache.models import Ban, GeoCache, ImportSource
from geocache.statistics.table import read_statistics
from tests.factories import a_location, a_row, many_locations, use_dummy_provider
from tests.support.ban_actions import RecordingAction, use_action
from tests.support.blocklists import imported

FLUSH = "geo_cache_flush"


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


@pytest.mark.django_db(transaction=True)
def test_geo_cache_flush__says_what_it_flushed_only_when_it_did(events: list[Any]) -> None:
    jobs.geo_cache_flush()
    writer.append(many_locations(3))

    jobs.geo_cache_flush()

    assert events == [{"event": "geo_cache_flush_ran", "flushed": 3, "log_level": "debug"}]


@pytest.mark.django_db(transaction=True)
def test_geo_cache_flush__counts_the_table() -> None:
    writer.append(many_locations(3))
    jobs.geo_cache_flush()
    snapshot = read_statistics()
    assert snapshot is not None
    assert snapshot.row_count == 3


@pytest.mark.django_db(transaction=True)
def test_geo_cache_flush__outlives_a_failure_of_the_statistics(
    events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocache.statistics.table.count", lambda _: 1 / 0)
    writer.append(many_locations(3))
    jobs.geo_cache_flush()
    assert GeoCache.objects.count() == 3
    assert names(events) == ["geo_cache_flush_ran", "geo_after_flush_failed"]


@pytest.mark.django_db(transaction=True)
def test_geo_cache_flush__says_when_it_timed_out(
    events: list[Any], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr("geocache.journal.flush.BATCH_ANSWERS", 64)
    settings.GEOCACHE = {**settings.GEOCACHE, "FLUSH_TIME_LIMIT_SECONDS": 0}
    for location in many_locations(130, resolved_at=datetime.now(UTC)):
        writer.append([location])

    jobs.geo_cache_flush()

    assert events[-1] == {
        "event": "geo_cache_flush_timed_out",
        "flushed": 64,
        "pending": 66,
        "help": "docs/troubleshooting.md#journal-backlog",
        "log_level": "warning",
    }


@pytest.mark.django_db(transaction=True)
def test_geo_cache_flush__says_when_answers_wait_for_more_than_three_intervals(
    events: list[Any], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr("geocache.journal.flush.BATCH_ANSWERS", 64)
    settings.GEOCACHE = {**settings.GEOCACHE, "FLUSH_TIME_LIMIT_SECONDS": 0}
    waiting_since = datetime.now(UTC) - timedelta(seconds=200)
    for location in many_locations(130, resolved_at=waiting_since):
        writer.append([location])

    jobs.geo_cache_flush()

    assert events[-1]["event"] == "geo_cache_backlog_is_old"
    assert events[-1]["pending"] == 66
    assert 200 <= events[-1]["seconds"] < 210


@pytest.mark.django_db(transaction=True)
def test_geo_cache_flush__failure_is_told_before_the_age_of_what_waits(
    events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise FlushError("the database is away")

    monkeypatch.setattr(work, "flush_dirty", fail)
    writer.append([a_location(resolved_at=datetime.now(UTC) - timedelta(seconds=200))])

    jobs.geo_cache_flush()

    assert names(events) == ["geo_job_failed", "geo_cache_backlog_is_old"]


@pytest.mark.django_db(transaction=True)
def test_geo_cache_flush__failure_is_one_event_and_no_exception(
    events: list[Any], settings: Any
) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }

    jobs.geo_cache_flush()

    assert names(events) == ["geo_job_failed"]
    assert events[0]["job"] == FLUSH
    assert events[0]["help"] == "docs/troubleshooting.md#flush-failed"


@pytest.mark.django_db(transaction=True)
def test_geo_prune_history__forgets_old_executions_of_ours_only() -> None:
    now = datetime.now(UTC)
    ours = DjangoJob.objects.create(id=FLUSH, job_state=b"")
    theirs = DjangoJob.objects.create(id="geo_of_the_host", job_state=b"")
    for job in (ours, theirs):
        for days in (1, 40):
            DjangoJobExecution.objects.create(job=job, run_time=now - timedelta(days=days))

    jobs.geo_prune_history()

    assert DjangoJobExecution.objects.filter(job=ours).count() == 1
    assert DjangoJobExecution.objects.filter(job=theirs).count() == 2


def outcomes(*given: Outcome) -> Any:
    return lambda **_: list(given)


@pytest.fixture
def updates(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "UPDATE_DAYS": 7}


@pytest.mark.django_db
@pytest.mark.usefixtures("updates")
def test_geo_database_update__says_what_came_and_what_did_not(
    events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    came = Outcome("city", databases_update.INSTALLED, "City 2026-01-02")
    failed = Outcome("asn", databases_update.FAILED, "no such database")
    same = Outcome("country", databases_update.UNCHANGED, "Country 2026-01-02")
    monkeypatch.setattr(databases_update, "update_databases", outcomes(came, failed, same))
    counted = MoveReport(compared=9, moved=2, is_complete=True, by_kind={"city": 2})
    monkeypatch.setattr(work, "count_moves", lambda **_: counted)
    report = jobs.geo_database_update()
    assert (report["status"], report["error"]) == ("failed", "asn: no such database")
    assert report["detail"]["moves"] == {
        "compared": 9,
        "moved": 2,
        "is_complete": True,
        "by_kind": {"city": 2},
    }
    assert [one["status"] for one in report["detail"]["databases"]] == [
        "installed",
        "failed",
        "unchanged",
    ]
    assert events == [
        {
            "event": "geo_database_updated",
            "database": "city",
            "build": "City 2026-01-02",
            "log_level": "info",
        },
        {
            "event": "geo_database_update_failed",
            "database": "asn",
            "error": "no such database",
            "help": "docs/troubleshooting.md#update-failed",
            "log_level": "error",
        },
        {
            "event": "geo_addresses_moved",
            "compared": 9,
            "moved": 2,
            "by_kind": {"city": 2},
            "is_complete": True,
            "log_level": "info",
        },
    ]


@pytest.mark.django_db
@pytest.mark.usefixtures("updates")
@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (UpdateBusy("another"), "busy", []),
        (UpdateError("half an account"), "failed", ["geo_job_failed"]),
        (OSError("no space"), "failed", ["geo_job_failed"]),
    ],
)
def test_geo_database_update__failure_is_logged(
    events: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: str,
    expected: list[str],
) -> None:
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(databases_update, "update_databases", fail)
    report = jobs.geo_database_update()
    assert (report["status"], report["error"]) == (status, str(error))
    assert names(events) == expected


@pytest.mark.django_db(transaction=True)
def test_geo_refresh__says_what_it_did(events: list[Any], settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "REFRESH_TIME_LIMIT_SECONDS": 60}
    provider = use_dummy_provider(settings)
    a_row()
    jobs.geo_refresh()
    jobs.geo_refresh()
    assert names(events) == ["geo_refresh_ran"]
    provider.version, provider.is_failing = "2", True
    jobs.geo_refresh()
    assert names(events)[1:] == ["geo_job_failed"]
    provider.is_metered = True
    jobs.geo_refresh()
    assert len(events) == 2


@pytest.mark.django_db(transaction=True)
def test_geo_prune__says_what_it_did(events: list[Any], settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": 90}
    provider = use_dummy_provider(settings)
    a_row(resolved_at=datetime.now(UTC) - timedelta(days=400))
    jobs.geo_prune()
    jobs.geo_prune()
    assert events == [
        {"event": "geo_prune_ran", "pruned": 1, "is_complete": True, "log_level": "info"}
    ]
    a_row(resolved_at=datetime.now(UTC) - timedelta(days=400))
    provider.build = no_build  # type: ignore[method-assign]
    jobs.geo_prune()
    assert names(events)[1:] == ["geo_job_failed"]


def no_build() -> str:
    raise ProviderError("no database")


@pytest.mark.django_db(transaction=True)
def test_geo_import__says_what_it_did(events: list[Any], settings: Any, tmp_path: Path) -> None:
    use_dummy_provider(settings)
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("1.1.1.1\n2.2.2.2\n")
    sources = {"good": str(good), "bad": str(bad)}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": sources}
    jobs.geo_import()
    jobs.geo_import()
    ran = {"event": "geo_import_ran", "list": "good", "added": 2, "removed": 0, "bad": 0}
    assert events[0] == ran | {"log_level": "info"}
    assert names(events[1:]) == ["geo_import_failed"]
    assert events[1]["error"] == f"{str(bad)!r} cannot be read: No such file or directory"


@pytest.mark.django_db(transaction=True)
def test_geo_licence__says_what_it_did(events: list[Any], settings: Any) -> None:
    use_dummy_provider(settings)
    settings.GEOCACHE = {**settings.GEOCACHE, "LICENCE_CLEANUP": True}
    a_row(source="GeoLite2-City 2026-01-01")
    report = jobs.geo_licence()
    jobs.geo_licence()
    counts = {"refreshed": 1, "removed": 0, "history": 1, "rejected": 0, "files": 0}
    assert report["detail"] == counts | {"is_complete": True}
    logged = {
        "event": "geo_licence_ran",
        "log_level": "info",
        "resolved": 1,
        "pruned": 0,
        "history_removed": 1,
        "rejected_removed": 0,
        "files_removed": 0,
        "is_complete": True,
    }
    assert events == [logged]


def test_jobs__those_of_the_settings_can_be_switched_off(settings: Any) -> None:
    def ids(**given: Any) -> set[str]:
        settings.GEOCACHE = {**settings.GEOCACHE, **given}
        return {job.id for job in jobs.enabled_jobs()}

    always = {FLUSH, "geo_prune_history"}
    assert ids() == always
    assert ids(LICENCE_CLEANUP=True) == {*always, "geo_licence"}
    assert ids(LICENCE_CLEANUP=False, UPDATE_DAYS=7) == {*always, "geo_database_update"}
    # Nobody would read what it fetches.
    assert ids(DATABASES=["/srv/city.mmdb"]) == always
    assert ids(REFRESH_TIME_LIMIT_SECONDS=60) == {*always, "geo_refresh"}
    assert ids(REFRESH_TIME_LIMIT_SECONDS=0, RETENTION_DAYS=1) == {*always, "geo_prune"}
    assert ids(RETENTION_DAYS=0, IMPORT_SOURCES={"a": "/srv/a"}) == {*always, "geo_import"}
    action = {"BACKEND": "tests.support.ban_actions.RecordingAction"}
    assert ids(IMPORT_SOURCES={}, BAN_ACTION=action) == {*always, "geo_bans"}


@pytest.mark.django_db(transaction=True)
def test_geo_bans__applies_and_ends_what_is_due(events: list[Any], settings: Any) -> None:
    use_dummy_provider(settings)
    imported("1.1.1.1", "10.0.0.1")
    use_action(settings, RecordingAction)
    jobs.geo_bans()
    jobs.geo_bans()
    assert RecordingAction.asked == [("ban", ["1.1.1.1"])]
    ImportSource.objects.get().forget()
    jobs.geo_bans()
    assert RecordingAction.asked[1:] == [("unban", ["1.1.1.1"])]
    ran = {"event": "geo_bans_ran", "log_level": "info", "repeated": 0}
    assert events == [
        ran | {"banned": 1, "ended": 0, "skipped": 1},
        ran | {"banned": 0, "ended": 1, "skipped": 0},
    ]


@pytest.mark.django_db(transaction=True)
def test_geo_bans__failure_is_an_event_and_a_busy_lock_is_none(
    events: list[Any], settings: Any
) -> None:
    use_dummy_provider(settings)
    imported("1.1.1.1")
    use_action(settings, RecordingAction)
    RecordingAction.fails_at = 0
    jobs.geo_bans()
    assert [(one["event"], one["job"]) for one in events] == [("geo_job_failed", "geo_bans")]
    assert events[0]["error"] == "the jail is closed"
    with exclusive_lock(conf.var_dir() / ".bans.lock", busy=BanError("busy")):
        jobs.geo_bans()
    assert len(events) == 1
    assert RecordingAction.asked == []


@pytest.mark.django_db(transaction=True)
def test_geo_bans__ends_between_two_batches_when_the_scheduler_stops(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    use_dummy_provider(settings)
    imported("1.1.1.1", "2.2.2.2", "3.3.3.3")
    use_action(settings, RecordingAction)
    with monkeypatch.context() as patch:
        patch.setattr(jobs.stopping, "is_set", lambda: True)
        jobs.geo_bans()
    assert RecordingAction.asked == [("ban", ["1.1.1.1", "2.2.2.2"])]
    jobs.geo_bans()
    assert Ban.objects.count() == 3
