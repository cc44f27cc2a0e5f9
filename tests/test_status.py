from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from geocache.exceptions import JournalUnavailable, ProviderError
from geocache.journal import backlog, writer
from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup_many
from geocache.models import FlushRun, JobRun, JournalHead, RejectedEntry, SchedulerLease
from geocache.providers import factory
from geocache.providers.base import Source
from geocache.status import Status, database_problem, first_line, is_old, read_status
from tests.factories import LONDON, MOSCOW_V6, NOON, a_location, a_row, use_dummy_provider
from tests.support.assertions import WRITES
from tests.support.ban_actions import RecordingAction, use_action
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db


def failing(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_read_status__says_what_is_pending_and_for_how_long() -> None:
    writer.append([a_location(LONDON), a_location(MOSCOW_V6)])
    status = read_status(NOON + timedelta(seconds=90))
    assert status.pending_count == 2
    assert status.oldest_pending_seconds == 90
    assert status.problems == ()


def test_read_status__an_answer_from_the_future_has_no_negative_age() -> None:
    writer.append([a_location(LONDON)])
    assert read_status(NOON - timedelta(seconds=90)).oldest_pending_seconds == 0


def test_read_status__nothing_is_pending() -> None:
    status = read_status()
    assert (status.pending_count, status.oldest_pending_seconds) == (0, None)


@pytest.mark.django_db(transaction=True)
def test_read_status__a_flush_moves_answers_from_pending_to_rows(settings: Any) -> None:
    use_dummy_provider(settings)
    lookup_many([LONDON, MOSCOW_V6])
    before = read_status()
    flush_dirty()
    after = read_status()
    assert (before.pending_count, before.row_count, before.last_flush) == (2, 0, None)
    assert (after.pending_count, after.row_count) == (0, 2)
    assert after.last_flush is not None
    assert after.last_flush.flushed == 2


def test_read_status__shows_the_newest_flush() -> None:
    for hours, error in ((0, "old"), (2, "new"), (1, "middle")):
        FlushRun.objects.create(
            started_at=NOON + timedelta(hours=hours),
            seconds=0.5,
            flushed=3,
            rejected=1,
            pending=0,
            timed_out=False,
            error=error,
        )
    last_flush = read_status().to_plain()["last_flush"]
    assert last_flush == {
        "started_at": "2026-01-02T14:00:00+00:00",
        "flushed": 3,
        "rejected": 1,
        "seconds": 0.5,
        "error": "new",
    }


def test_read_status__counts_rows_and_rejected_entries() -> None:
    a_row()
    RejectedEntry.objects.create(record="?", error="?")
    status = read_status()
    assert (status.row_count, status.rejected_count) == (1, 1)


def test_read_status__can_go_without_counting_rows() -> None:
    a_row()
    with CaptureQueriesContext(connection) as queries:
        status = read_status(is_counting_rows=False)
    assert status.row_count is None
    assert status.rejected_count == 0
    assert status.problems == ()
    assert not [query for query in queries if "geocache_geocache" in query["sql"].split("WHERE")[0]]


def test_read_status__without_counting_rows_no_ban_is_counted(settings: Any) -> None:
    use_dummy_provider(settings)
    use_action(settings, RecordingAction)
    imported("1.1.1.1")
    with CaptureQueriesContext(connection) as queries:
        status = read_status(is_counting_rows=False)
    assert ([one.name for one in status.lists], status.bans) == (["test"], None)
    assert not [query for query in queries if "listedaddress" in query["sql"]]
    assert (bans := read_status().bans) is not None
    assert bans.count == 1


def test_read_status__writes_nothing_to_the_database() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        read_status()
    assert not [query for query in queries if query["sql"].lstrip().startswith(WRITES)]
    assert not JournalHead.objects.exists()


@pytest.mark.parametrize(("seconds", "is_alive"), [(1, True), (-1, False)])
def test_read_status__scheduler_is_alive_while_its_lease_lasts(
    seconds: int, is_alive: bool
) -> None:
    SchedulerLease.objects.create(
        name="geo_scheduler", holder="host:1", expires_at=NOON + timedelta(seconds=seconds)
    )
    status = read_status(NOON)
    assert status.is_scheduler_alive is is_alive
    assert status.scheduler_holder == ("host:1" if is_alive else "")


@pytest.mark.parametrize(
    ("hours", "is_scheduled"), [(None, False), (1, True), (1.9, True), (2.1, False)]
)
def test_is_flush_scheduled__by_a_flush_of_the_last_two_hours(
    hours: float | None, is_scheduled: bool
) -> None:
    if hours is not None:
        FlushRun.objects.create(
            started_at=NOON - timedelta(hours=hours),
            seconds=1,
            flushed=1,
            rejected=0,
            pending=0,
            timed_out=False,
        )
    assert read_status(NOON).is_flush_scheduled is is_scheduled


@pytest.mark.parametrize(
    ("flushed_minutes", "is_scheduled"), [(None, False), (11, False), (9, True)]
)
def test_is_flush_scheduled__not_by_what_a_scheduler_did_that_was_killed_since(
    flushed_minutes: float | None, is_scheduled: bool
) -> None:
    SchedulerLease.objects.create(
        name="geo_scheduler", holder="host:1", expires_at=NOON - timedelta(minutes=10)
    )
    if flushed_minutes is not None:
        begun_at = NOON - timedelta(minutes=flushed_minutes)
        JobRun.objects.create(job="geo_cache_flush", started_at=begun_at)
    assert read_status(NOON).is_flush_scheduled is is_scheduled


@pytest.mark.parametrize(
    ("is_flush_scheduled", "last_flush", "pending_count", "is_missing"),
    [
        (False, None, 0, True),
        (False, None, 5, True),
        (False, FlushRun(), 5, True),
        (False, FlushRun(), 0, False),
        (False, FlushRun(), None, True),
        (True, None, 5, False),
        (None, None, 5, False),
    ],
)
def test_is_scheduler_missing__only_where_nothing_else_flushes(
    is_flush_scheduled: bool | None,
    last_flush: FlushRun | None,
    pending_count: int | None,
    is_missing: bool,
) -> None:
    status = Status(
        is_flush_scheduled=is_flush_scheduled, last_flush=last_flush, pending_count=pending_count
    )
    assert status.is_scheduler_missing is is_missing


def test_read_status__another_lease_is_no_scheduler() -> None:
    SchedulerLease.objects.create(name="other", expires_at=NOON + timedelta(hours=1))
    assert read_status(NOON).is_scheduler_alive is False


def test_read_status__a_broken_provider_hides_nothing_else(monkeypatch: Any) -> None:
    monkeypatch.setattr(factory, "current", failing(ProviderError("no such file")))
    status = read_status()
    assert status.problems == ("provider: no such file",)
    assert status.sources == ()
    assert (status.pending_count, status.row_count, status.cache_backend != "") == (0, 0, True)


def test_read_status__a_cache_that_is_down_hides_nothing_else(monkeypatch: Any) -> None:
    monkeypatch.setattr(backlog.segments, "read", failing(JournalUnavailable("the cache is down")))
    status = read_status()
    assert status.problems == ("journal: the cache is down",)
    assert status.pending_count is None
    assert (status.row_count, status.is_scheduler_alive) == (0, False)


def test_read_status__a_cache_that_cannot_hold_the_journal(settings: Any) -> None:
    backend = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {**settings.CACHES, "geocache": {"BACKEND": backend}}
    status = read_status()
    assert (status.cache_backend, status.is_journal_possible) == (backend, False)
    assert len(status.problems) == 1


def test_read_status__a_server_that_is_down_is_one_problem(settings: Any) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    redis = {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1"}
    settings.CACHES = {**settings.CACHES, "geocache": redis}
    status = read_status()
    assert (status.cache_backend, status.is_journal_possible) == (backend, None)
    assert len(status.problems) == 1


def test_read_status__an_unmigrated_database_is_one_problem(monkeypatch: Any) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", list)
    status = read_status()
    assert status.problems == ("the database is not migrated; run manage.py migrate",)
    assert (status.row_count, status.pending_count, status.is_scheduler_alive) == (None,) * 3
    assert status.sources


def test_read_status__shows_no_location_of_the_cache(settings: Any, redis_url: str) -> None:
    secret = redis_url.replace("://", "://:secret@")
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {**settings.CACHES, "geocache": {"BACKEND": backend, "LOCATION": secret}}
    status = read_status()
    assert status.cache_backend == backend
    assert "secret" not in str(status.to_plain())


def test_database_problem__is_one_line_when_the_database_is_away(monkeypatch: Any) -> None:
    error = connection.Database.OperationalError
    wrapped = connection.wrap_database_errors

    def table_names() -> list[str]:
        with wrapped:
            raise error("connection refused\n\tIs the server running?")

    monkeypatch.setattr(connection.introspection, "table_names", table_names)
    assert database_problem() == "the database cannot be reached: connection refused"


def test_to_plain__has_the_age_of_each_source(settings: Any) -> None:
    use_dummy_provider(settings)
    (source,) = read_status().to_plain()["sources"]
    assert source == {
        "name": "Dummy 1",
        "built_at": None,
        "age_days": None,
        "is_old": False,
        "is_fallback": False,
        "fields": [],
        "attribution": "",
        "licence": "",
        "max_age_days": None,
        "licence_level": None,
    }


@pytest.mark.parametrize(("days", "old"), [(90, False), (91, True)])
def test_is_old__after_ninety_days(days: int, old: bool) -> None:
    assert is_old(Source(name="City", built_at=NOON), NOON + timedelta(days=days)) is old


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("one\ntwo"), "one"), (ValueError(), "ValueError"), (ValueError("\n a"), "a")],
)
def test_first_line__of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_read_status__shows_what_each_metered_provider_was_asked(settings: Any) -> None:
    use_dummy_provider(settings, is_metered=True, queries_per_day=2)
    lookup_many([LONDON, MOSCOW_V6])
    assert read_status().to_plain()["queries"] == [
        {"provider": "Dummy 1", "asked_today": 2, "limit": 2, "remaining": None, "is_low": True}
    ]
