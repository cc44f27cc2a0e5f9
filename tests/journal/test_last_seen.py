from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from geocache.cache import backends
from geocache.exceptions import JournalUnavailable, UndecodableRecord
from geocache.journal import backlog, last_seen, reader, writer
from geocache.journal.flush import flush_dirty
from geocache.journal.last_seen import LastSeen, dump_record, is_record, load_record
from geocache.location import count_locations
from geocache.lookup import hot_entries, lookup, lookup_many
from geocache.lookup.memory import memory
from geocache.models import FlushRun, GeoCache
from geocache.providers import factory
from geocache.providers.dummy import DummyProvider
from tests.factories import LONDON, MOSCOW_V6, NOON, a_location, a_row, use_dummy_provider
from tests.support.assertions import no_database_write
from tests.support.processes import start_script

TODAY = date(2026, 3, 4)
YESTERDAY = TODAY - timedelta(days=1)
PAGE = [f"20.0.0.{n}" for n in range(50)]


@pytest.fixture
def journaled(monkeypatch: pytest.MonkeyPatch) -> list[LastSeen]:
    """What is noted goes here instead of into the journal."""
    found: list[LastSeen] = []
    monkeypatch.setattr(writer, "append_text", lambda text: found.append(load_record(text)))
    return found


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """The day, which a test may change."""
    now = [TODAY]
    monkeypatch.setattr(last_seen, "today", lambda: now[0])
    return now


@pytest.fixture
def provider(settings: Any) -> DummyProvider:
    return use_dummy_provider(settings)


def new_process() -> None:
    """Forget what this process knows, as if another one went on."""
    memory.clear()
    last_seen.tracker.clear()


def a_minute_later() -> None:
    """What waits may be handed in now, and is not in the memory any more."""
    memory.clear()
    last_seen.tracker.due_at = 0.0


# --- the text ----------------------------------------------------------------------------------


def test_note__comes_back_as_it_was() -> None:
    note = LastSeen(TODAY, [LONDON, MOSCOW_V6, "81.2.69.0/24", "2a02:6b8::/32"])
    assert is_record(dump_record(note))
    assert load_record(dump_record(note)) == note


def test_note__is_no_answer() -> None:
    assert count_locations(dump_record(LastSeen(TODAY, [LONDON]))) == 0


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "1}",
        '"2026-03-04"}',
        '"2026-02-30","asked":[]}',
        '"2026-03-04","asked":5}',
        '"2026-03-04","asked":[5]}',
        '"2026-03-04","asked":[["81.2.69.142"]]}',
        '"2026-03-04","asked":["London"]}',
        '"2026-03-04","asked":["81.2.69.142\\u0000"]}',
        '"2026-03-04","asked":["81.2.69.0/33"]}',
        '"2026-03-04","asked":' + "[" * 100_000,
    ],
)
def test_load_note__what_is_none_is_refused(rest: str) -> None:
    text = last_seen.BEGINNING + rest
    assert is_record(text)
    with pytest.raises(UndecodableRecord):
        load_record(text)


# --- what a process notes ----------------------------------------------------------------------


def test_add__first_at_once_and_later_ones_together(journaled: list[LastSeen]) -> None:
    last_seen.tracker.add([LONDON])
    last_seen.tracker.add([MOSCOW_V6])
    last_seen.tracker.add(["9.9.9.9"])
    assert journaled == [LastSeen(TODAY, [LONDON])]
    a_minute_later()
    last_seen.tracker.add([LONDON])
    assert journaled[1:] == [LastSeen(TODAY, [MOSCOW_V6, "9.9.9.9"])]


def test_add__nothing_is_noted_twice_a_day(journaled: list[LastSeen], clock: list[date]) -> None:
    for _ in range(3):
        last_seen.tracker.add([LONDON])
        a_minute_later()
    assert len(journaled) == 1
    clock[0] += timedelta(days=1)
    last_seen.tracker.add([LONDON])
    assert journaled[1:] == [LastSeen(clock[0], [LONDON])]


def test_add_one__is_noted_as_by_add(journaled: list[LastSeen], clock: list[date]) -> None:
    for _ in range(3):
        last_seen.tracker.add_one(LONDON)
    last_seen.tracker.add_one(MOSCOW_V6)
    a_minute_later()
    # What waits goes with the next one, though that is noted.
    last_seen.tracker.add_one(LONDON)
    clock[0] += timedelta(days=1)
    a_minute_later()
    last_seen.tracker.add_one(LONDON)
    assert journaled == [
        LastSeen(TODAY, [LONDON]),
        LastSeen(TODAY, [MOSCOW_V6]),
        LastSeen(clock[0], [LONDON]),
    ]


def test_add__what_waits_at_midnight_keeps_its_day(
    journaled: list[LastSeen], clock: list[date]
) -> None:
    last_seen.tracker.add([LONDON])
    last_seen.tracker.add([MOSCOW_V6])
    clock[0] += timedelta(days=1)
    last_seen.tracker.add(["9.9.9.9"])
    assert journaled[1] == LastSeen(TODAY, [MOSCOW_V6])


def test_add__many_are_records_of_200(journaled: list[LastSeen]) -> None:
    names = {f"20.0.{n >> 8}.{n & 255}" for n in range(450)}
    last_seen.tracker.add(names)
    assert [len(note.names) for note in journaled] == [200, 200, 50]
    assert {name for note in journaled for name in note.names} == names


def test_add__memory_is_bounded(journaled: list[LastSeen], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_seen, "REMEMBERED_NAMES", 10)
    for address in PAGE:
        last_seen.tracker.add([address])
        assert len(last_seen.tracker.noted) <= 10
        assert len(last_seen.tracker.waiting) < last_seen.NAMES_PER_RECORD
    assert len(journaled) == 1


def test_add__journal_that_is_away_fails_nobody_and_it_is_noted_later(
    journaled: list[LastSeen], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise JournalUnavailable("down")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "append_text", fail)
        last_seen.tracker.add([LONDON])
    a_minute_later()
    last_seen.tracker.add([LONDON])
    assert journaled == [LastSeen(TODAY, [LONDON])]


def telling(told: list[str], method: Any) -> Any:
    def tell(*args: Any, **kwargs: Any) -> Any:
        told.append(method.__name__)
        return method(*args, **kwargs)

    return tell


# --- look-ups ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("provider")
def test_lookup__memory_notes_nothing(
    journaled: list[LastSeen], monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup_many(PAGE)
    monkeypatch.setattr(last_seen.LastSeenTracker, "add", lambda *_: 1 / 0)
    lookup(PAGE[0])
    lookup_many(PAGE)
    assert journaled == []


@pytest.mark.usefixtures("provider")
def test_lookup__new_answer_is_not_noted_that_day(journaled: list[LastSeen]) -> None:
    for _ in range(3):
        lookup_many(PAGE)
        a_minute_later()
    assert journaled == []


@pytest.mark.usefixtures("provider")
def test_lookup_many__page_of_known_addresses_is_one_record_a_day(
    journaled: list[LastSeen],
) -> None:
    lookup_many(PAGE)
    new_process()
    for _ in range(3):
        lookup_many(PAGE)
        a_minute_later()
    assert journaled == [LastSeen(TODAY, sorted(PAGE))]


@pytest.mark.usefixtures("provider")
def test_lookup_many__page_that_is_noted_makes_one_round_trip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lookup_many(PAGE)
    new_process()
    lookup_many(PAGE)
    a_minute_later()
    told: list[str] = []
    monkeypatch.setattr(backends, "get_many", telling(told, backends.get_many))
    backend = type(backends.current())
    for name in ("add", "incr", "set_many"):
        monkeypatch.setattr(backend, name, telling(told, getattr(backend, name)))

    lookup_many(PAGE)

    assert told == ["get_many"]


@pytest.mark.django_db(transaction=True)
def test_lookup__of_a_metered_provider_notes_its_row_and_the_neighbours_that_answer(
    settings: Any, journaled: list[LastSeen]
) -> None:
    provider = use_dummy_provider(settings, is_metered=True)
    now = {"resolved_at": datetime.now(UTC)}
    a_row(LONDON, **now)
    a_row("20.0.0.1", network="20.0.0.0/24", **now)
    with no_database_write(max_queries=2):
        lookup_many([LONDON, "20.0.0.9"])
    assert provider.asked == []
    assert journaled == [LastSeen(TODAY, ["20.0.0.0/24", LONDON])]


@pytest.mark.django_db
def test_lookup__row_that_stands_in_for_a_failing_provider_is_noted(
    settings: Any, journaled: list[LastSeen]
) -> None:
    a_row()
    use_dummy_provider(settings, is_failing=True)
    lookup_many([LONDON, MOSCOW_V6])
    assert journaled == [LastSeen(TODAY, [LONDON])]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_lookup__program_that_ends_soon_has_noted_all_that_it_asked_for() -> None:
    lookup_many(PAGE)
    flush_dirty()
    GeoCache.objects.update(last_seen_on=NOON.date())
    process = start_script(
        f"from geocache.lookup import lookup\nfor address in {PAGE}: lookup(address)\n"
    )
    assert process.communicate(timeout=60)[0] == ""
    assert flush_dirty().flushed == 0
    assert not GeoCache.objects.unseen_since(datetime.now(UTC).date() - timedelta(days=1)).exists()


# --- into the table ----------------------------------------------------------------------------


def last_seen_on(address: str = LONDON) -> date:
    return GeoCache.objects.get(address=address).last_seen_on


@pytest.mark.django_db
@pytest.mark.usefixtures("provider")
def test_flush__known_address_is_asked_for_on_the_day_of_its_note() -> None:
    a_row()
    hot_entries.set_many(factory.current().build(), [a_location()])
    with no_database_write(max_queries=0):
        lookup(LONDON)
    assert last_seen_on() == NOON.date()

    report = flush_dirty()

    assert last_seen_on() == TODAY
    assert GeoCache.objects.get().to_location() == a_location()
    assert (report.flushed, report.pending, report.rejected) == (0, 0, 0)
    assert not FlushRun.objects.exists()


@pytest.mark.django_db
def test_flush__note_and_answer_in_one_batch() -> None:
    writer.append_text(dump_record(LastSeen(TODAY, [LONDON])))
    writer.append([a_location()])
    assert flush_dirty().flushed == 1
    assert last_seen_on() == TODAY


@pytest.mark.django_db
def test_flush__older_note_lowers_nothing() -> None:
    a_row()
    for day in (TODAY, YESTERDAY, NOON.date()):
        writer.append_text(dump_record(LastSeen(day, [LONDON])))
        flush_dirty()
        assert last_seen_on() == TODAY


@pytest.mark.django_db
def test_flush__note_of_an_address_without_a_row_is_nothing() -> None:
    writer.append_text(dump_record(LastSeen(TODAY, [LONDON, "81.2.69.0/24"])))
    report = flush_dirty()
    assert (report.rejected, report.pending, GeoCache.objects.count()) == (0, 0, 0)


@pytest.mark.django_db
def test_flush__note_that_cannot_be_read_is_put_aside() -> None:
    a_row()
    writer.append_text(last_seen.BEGINNING + '"2026-03-04","asked":["nowhere"]}')
    writer.append_text(dump_record(LastSeen(TODAY, [LONDON])))
    assert flush_dirty().rejected == 1
    assert last_seen_on() == TODAY


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["mark_seen", "forget"])
def test_flush__killed_before_or_after_its_commit_applies_the_note_once_more(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    class Killed(BaseException):
        """Stands for SIGKILL: nothing in the app catches it."""

    def killed(*_: object) -> None:
        raise Killed

    a_row()
    writer.append_text(dump_record(LastSeen(TODAY, [LONDON])))
    owner: Any = reader if name == "forget" else type(GeoCache.objects)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            flush_dirty()
    writer.process_writer.reset()
    flush_dirty()
    assert last_seen_on() == TODAY


@pytest.mark.django_db
def test_journal__notes_are_neither_pending_nor_found() -> None:
    writer.append_text(dump_record(LastSeen(TODAY, [LONDON])))
    assert backlog.read_backlog().answer_count == 0
    assert backlog.read_backlog().oldest_at is None
    assert backlog.find(LONDON) is None
    writer.append([a_location()])
    assert backlog.find(LONDON) == a_location()
    assert backlog.read_backlog().answer_count == 1


def test_parsed__spelling_does_not_matter() -> None:
    note = load_record(dump_record(LastSeen(TODAY, ["2A02:6B8:0::1"])))
    assert note.names == [str(ip_address(MOSCOW_V6))]
