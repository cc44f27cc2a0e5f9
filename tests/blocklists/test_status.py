import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from geocache.bans.protection import Reason
from geocache.blocklists.status import BanOverview, ListOverview, ListState, read_bans, read_lists
from geocache.exceptions import BanError, ImportFailed
from geocache.locks.process_identity import this_holder
from geocache.models import Ban, ImportRun, ImportSource
from tests.factories import NOON, use_dummy_provider
from tests.support.assertions import no_database_write
from tests.support.ban_actions import RecordingAction, use_action
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def provider(settings: Any) -> None:
    use_dummy_provider(settings)


def configure(settings: Any, *names: str, hours: int = 6) -> None:
    sources = {name: f"/srv/{name}.txt" for name in names}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": sources, "IMPORT_HOURS": hours}


def seen(**later: float) -> ListOverview:
    """The only list, after a while."""
    (one,) = read_lists(timezone.now() + timedelta(**later))
    return one


# --- lists ---------------------------------------------------------------------------------------


def test_read_lists__there_are_none() -> None:
    assert read_lists(timezone.now()) == ()


def test_read_lists__one_query_for_all_and_nothing_written(settings: Any) -> None:
    configure(settings, "a", "bb")
    for name in ("b", "a", "c"):
        imported("1.1.1.1", name=name)
    with no_database_write(max_queries=1):
        lists = read_lists(timezone.now())
    assert [one.name for one in lists] == ["a", "b", "bb", "c"]


def test_read_lists__neither_entries_nor_counts_of_countries_are_read() -> None:
    imported("1.1.1.1")
    with CaptureQueriesContext(connection) as queries:
        read_lists(timezone.now())
    for long in ("listedaddress", "figures"):
        assert long not in queries[0]["sql"]


def test_read_lists__what_the_table_holds_and_since_when() -> None:
    imported("1.1.1.1", "5.6.7.0/24")
    one = seen(hours=2)
    assert (one.state, one.problem, one.is_configured) == (ListState.COMPLETE, "", False)
    assert (one.entry_count, one.network_count) == (2, 1)
    assert one.age_seconds == pytest.approx(7200, abs=30)


def test_read_lists__unchanged_content_counts_as_imported() -> None:
    imported("1.1.1.1")
    ImportRun.objects.update(finished_at=timezone.now() - timedelta(days=9))
    imported("1.1.1.1")
    assert seen().age_seconds == pytest.approx(0, abs=30)


def test_read_lists__list_of_the_settings_that_never_came(settings: Any) -> None:
    configure(settings, "own")
    never = ListOverview(name="own", state=ListState.NEVER, is_configured=True)
    assert seen() == never
    ImportSource.objects.create(name="own")
    assert seen() == never


@pytest.mark.parametrize(
    ("hours", "after", "is_overdue"),
    [(6, 11, False), (6, 13, True), (1, 1.5, False), (1, 2.5, True), (0, 0.5, False), (0, 2, True)],
)
def test_read_lists__overdue_after_two_pauses_and_an_hour_at_least(
    settings: Any, hours: int, after: float, is_overdue: bool
) -> None:
    configure(settings, "test", hours=hours)
    imported("1.1.1.1")
    assert seen(hours=after).is_overdue is is_overdue


def test_read_lists__what_nobody_imports_by_itself_is_never_overdue() -> None:
    imported("1.1.1.1")
    assert seen(days=99).is_overdue is False


def test_read_lists__list_that_a_living_process_holds_is_running() -> None:
    imported("1.1.1.1")
    (source,) = ImportSource.objects.all()
    holder = this_holder()
    source.acquire(holder, 120)
    assert seen().state == ListState.RUNNING
    assert seen(minutes=3).state == ListState.COMPLETE
    source.release(holder)
    assert seen().state == ListState.COMPLETE


def test_read_lists__list_whose_process_was_killed_is_interrupted() -> None:
    imported("1.1.1.1")
    ImportRun.objects.update(state=ImportRun.State.RUNNING, finished_at=None)
    # Of this machine, and of a process that was started at another time.
    host, boot, pid, _, token = this_holder().split()
    until = timezone.now() + timedelta(minutes=1)
    ImportSource.objects.update(
        current_run=None, holder=f"{host} {boot} {pid} 1 {token}", expires_at=until
    )
    one = seen()
    assert (one.state, one.imported_at, one.entry_count) == (ListState.INTERRUPTED, None, None)


def test_read_lists__import_that_failed_says_why(settings: Any) -> None:
    imported("1.1.1.1")
    use_action(settings, RecordingAction)
    RecordingAction.fails_at = 0
    with pytest.raises(ImportFailed):
        imported("1.1.1.1", "2.2.2.2")
    one = seen()
    assert (one.state, one.problem) == (ListState.FAILED, "the jail is closed")
    assert one.age_seconds is None
    imported("1.1.1.1", "2.2.2.2")
    assert (seen().state, seen().problem) == (ListState.COMPLETE, "")


def test_read_lists__look_that_failed_leaves_what_the_table_holds() -> None:
    imported("1.1.1.1")
    ImportSource.objects.update(problem="the host\nis away", attempted_at=timezone.now())
    one = seen()
    assert (one.state, one.problem) == (ListState.FAILED, "the host is away")
    assert one.entry_count == 1


# --- bans ----------------------------------------------------------------------------------------


def test_read_bans__there_are_none_and_shall_be_none() -> None:
    imported("1.1.1.1")
    assert read_bans() is None


def test_read_bans__by_list(settings: Any) -> None:
    use_action(settings, RecordingAction)
    imported("1.1.1.1", "2.2.2.2", "10.0.0.1", name="a")
    imported("2.2.2.2", name="b")
    assert read_bans() == BanOverview(
        count=2,
        has_action=True,
        is_due=False,
        by_list={"a": 2, "b": 1},
        skipped={Reason.SPECIAL: 1},
    )


def test_list_overview__plain_form_is_what_programs_read() -> None:
    overview = ListOverview(
        name="test",
        state=ListState.COMPLETE,
        is_configured=True,
        imported_at=NOON,
        age_seconds=1.5,
        entry_count=3,
        network_count=1,
    )
    assert json.dumps(overview.to_plain()) == (
        '{"name": "test", "state": "complete", "is_configured": true, "is_overdue": false, '
        '"imported_at": "2026-01-02T12:00:00+00:00", "age_seconds": 1.5, "entries": 3, '
        '"networks": 1, "problem": ""}'
    )


def test_read_bans__what_the_next_import_has_to_do(settings: Any) -> None:
    imported("1.1.1.1")
    use_action(settings, RecordingAction)
    assert read_bans() == BanOverview(count=0, has_action=True, is_due=True, by_list={}, skipped={})


def test_read_bans__recorded_ones_without_an_action() -> None:
    Ban.objects.create(entry="1.1.1.1", banned_at=timezone.now())
    assert read_bans() == BanOverview(
        count=1, has_action=False, is_due=False, by_list={}, skipped={}
    )


def test_read_bans__settings_that_make_no_sense(settings: Any) -> None:
    use_action(settings, "no.such.Action")
    with pytest.raises(BanError, match=r"^BAN_ACTION makes no sense"):
        read_bans()


@pytest.mark.slow
@pytest.mark.parametrize("count", [10, 3000])
def test_read_bans__reads_no_row_for_each_entry(
    settings: Any, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    use_action(settings, RecordingAction)
    monkeypatch.setattr(RecordingAction, "batch_size", 500)
    imported(*(f"20.0.{n >> 8}.{n & 255}" for n in range(count)))
    with no_database_write(max_queries=4):
        overview = read_bans()
    assert overview is not None
    assert overview.by_list == {"test": count}
