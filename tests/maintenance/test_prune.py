from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from geocache.exceptions import FlushError
from geocache.journal import last_seen, writer
from geocache.journal.flush import FlushReport, flush_dirty
from geocache.journal.last_seen import LastSeen, dump_record
from geocache.lookup import hot_entries, lookup
from geocache.lookup.memory import memory
from geocache.maintenance import prune
from geocache.maintenance.prune import PruneReport, count_unseen
from geocache.maintenance.refresh import refresh
from geocache.maintenance.resolve_again import resolve_again
from geocache.models import GeoCache
from geocache.providers import factory
from geocache.providers.dummy import DummyProvider
from geocache.setting_bounds import MAX_DAYS
from tests.factories import LONDON, MOSCOW_V6, a_location, a_row, many_locations, use_dummy_provider
from tests.support.processes import start_script

pytestmark = pytest.mark.django_db(transaction=True)

TODAY = datetime.now(UTC).date()
# For an answer that is older than any retention here.
LONG_AGO = datetime.now(UTC) - timedelta(days=400)


@pytest.fixture(autouse=True)
def provider(settings: Any) -> DummyProvider:
    return use_dummy_provider(settings, answers={LONDON: {"city": "London"}})


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same day, also when a test goes on beyond midnight."""
    for owner, name in ((prune, "_today"), (last_seen, "today")):
        monkeypatch.setattr(owner, name, lambda: TODAY)


@pytest.fixture
def many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "BATCH_ROWS", 10)
    GeoCache.objects.upsert(many_locations(35, resolved_at=LONG_AGO))


def run(days: int = 90, **options: Any) -> PruneReport:
    return prune.prune(days=days, **{"time_limit_seconds": 60} | options)


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def asked(address: str, *, days_ago: int) -> None:
    GeoCache.objects.filter(pk=address).update(last_seen_on=TODAY - timedelta(days=days_ago))


def new_process() -> None:
    memory.clear()
    last_seen.tracker.clear()


# --- what is due -------------------------------------------------------------------------------


@pytest.mark.parametrize(("days_ago", "is_pruned"), [(0, False), (90, False), (91, True)])
def test_prune__removes_what_nobody_has_asked_for(days_ago: int, is_pruned: bool) -> None:
    a_row()
    a_row(MOSCOW_V6)
    asked(LONDON, days_ago=days_ago)
    asked(MOSCOW_V6, days_ago=0)
    assert count_unseen(90) == is_pruned
    report = run()
    assert (report.pruned, report.is_complete) == (is_pruned, True)
    assert (LONDON not in stored()) is is_pruned
    assert MOSCOW_V6 in stored()


def test_prune__refreshed_row_is_not_kept_alive(provider: DummyProvider) -> None:
    a_row(resolved_at=LONG_AGO)
    provider.version = "2"
    assert refresh(time_limit_seconds=60).resolved == 1
    assert GeoCache.objects.get().source == "Dummy 2"
    assert run().pruned == 1


def test_prune__row_that_somebody_had_resolved_again_is_not_kept_alive() -> None:
    a_row(resolved_at=LONG_AGO)
    resolve_again([LONDON])
    flush_dirty()
    assert run().pruned == 1


def test_prune__answer_that_was_asked_for_counts_beside_a_renewed_one() -> None:
    a_row(resolved_at=LONG_AGO)
    now = datetime.now(UTC)
    writer.append([a_location(resolved_at=now)])
    writer.append([a_location(resolved_at=now + timedelta(seconds=1), is_renewed=True)])
    writer.append([a_location(resolved_at=now)])
    assert run().pruned == 0


@pytest.mark.parametrize("is_record", [False, True])
def test_prune__what_waits_in_the_journal_counts(is_record: bool) -> None:
    a_row(resolved_at=LONG_AGO)
    if is_record:
        writer.append_text(dump_record(LastSeen(TODAY, [LONDON])))
    else:
        writer.append([a_location(resolved_at=datetime.now(UTC))])
    assert run().pruned == 0
    assert stored() == {LONDON}


def test_prune__known_address_that_is_looked_up_is_kept() -> None:
    lookup(LONDON)
    flush_dirty()
    asked(LONDON, days_ago=400)
    new_process()
    lookup(LONDON)
    assert run().pruned == 0
    assert GeoCache.objects.get().last_seen_on == TODAY


def test_prune__row_that_answers_for_a_network_is_kept(settings: Any) -> None:
    provider = use_dummy_provider(settings, is_metered=True)
    a_row("20.0.0.1", network="20.0.0.0/24", resolved_at=datetime.now(UTC))
    asked("20.0.0.1", days_ago=400)
    lookup("20.0.0.9")
    assert run().pruned == 0
    assert provider.asked == []


# --- what goes with a row ----------------------------------------------------------------------


def test_prune__whoever_asks_again_gets_a_row_again(provider: DummyProvider) -> None:
    """A hot entry that outlived its row would answer for something that no table has."""
    lookup(LONDON)
    flush_dirty()
    asked(LONDON, days_ago=400)
    provider.asked.clear()

    run()

    new_process()
    lookup(LONDON)
    assert provider.asked == [LONDON]
    flush_dirty()
    assert stored() == {LONDON}


def test_prune__a_paid_answer_for_the_network_goes_with_its_row(settings: Any) -> None:
    answers = {LONDON: {"city": "London", "network": "81.2.69.0/24"}}
    provider = use_dummy_provider(settings, answers=answers, is_metered=True)
    lookup(LONDON)
    flush_dirty()
    asked(LONDON, days_ago=400)
    run()
    new_process()
    lookup("81.2.69.7")
    assert provider.asked == [LONDON, "81.2.69.7"]


def test_prune__hot_entry_of_a_row_that_is_asked_for_meanwhile_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lookup(LONDON)
    flush_dirty()
    asked(LONDON, days_ago=400)

    def flush_with_a_note(_: float | None) -> FlushReport:
        asked(LONDON, days_ago=0)
        return FlushReport()

    monkeypatch.setattr("geocache.maintenance.forget.flush_dirty", flush_with_a_note)
    assert run().pruned == 0
    assert hot_entries.get_many(factory.current().build(), [LONDON])


# --- batches -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("many_rows")
def test_prune__all_in_batches_that_are_watched() -> None:
    asked("20.0.0.12", days_ago=0)
    watched: list[int] = []
    report = run(watch=watched.append)
    assert (report.pruned, report.is_complete, watched) == (34, True, [10, 10, 10, 4])
    assert stored() == {"20.0.0.12"}


@pytest.mark.usefixtures("many_rows")
def test_prune__time_limit_and_stopping() -> None:
    assert run(time_limit_seconds=-1) == PruneReport(0, pytest.approx(0, abs=60))
    report = run(is_stopped=lambda: GeoCache.objects.count() <= 15)
    assert (report.pruned, report.is_complete) == (20, False)
    report = run()
    assert (report.pruned, report.is_complete) == (15, True)


@pytest.mark.usefixtures("many_rows")
def test_prune__failure_keeps_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        monkeypatch.setattr(hot_entries, "delete_many", lambda *_: False)

    with pytest.raises(FlushError, match="the cache cannot be reached"):
        run(watch=fail)
    assert len(stored()) == 25


@pytest.mark.slow
@pytest.mark.usefixtures("many_rows")
def test_prune__killed_leaves_whole_batches_and_the_next_one_goes_on() -> None:
    process = start_script(
        "import time\n"
        "from geocache.maintenance import prune\n"
        "prune.BATCH_ROWS = 10\n"
        "def watch(row_count):\n"
        "    print(row_count, flush=True)\n"
        "    time.sleep(60)\n"
        "prune.prune(days=90, time_limit_seconds=60, watch=watch)\n"
    )
    assert process.stdout
    try:
        # Not when the rows are gone: a little later it gives the flushers' lock back.
        assert "10\n" in process.stdout
    finally:
        process.kill()
        process.communicate()
    assert GeoCache.objects.count() == 25
    report = run()
    assert (report.pruned, report.is_complete) == (25, True)


# --- the setting -------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [-1, "30", 1.5, None, True, MAX_DAYS + 1])
def test_retention_days__refuses_what_is_no_number_of_days(settings: Any, days: object) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": days}
    with pytest.raises(ImproperlyConfigured, match="RETENTION_DAYS"):
        prune.retention_days()


@pytest.mark.parametrize("days", [0, 1, MAX_DAYS])
def test_retention_days__is_the_setting(settings: Any, days: int) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": days}
    assert prune.retention_days() == days
    if days:
        assert run(days=days).is_complete
