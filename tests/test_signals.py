"""What receivers are told of what happens, and what they cannot break."""

import asyncio
import signal as os_signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError, connection, transaction
from django.dispatch import Signal
from structlog.testing import capture_logs

from geocache import signals
from geocache.exceptions import FlushError, JournalUnavailable, ProviderError
from geocache.journal import spill_buffer, table_writer, writer
from geocache.journal.flush import flush_dirty
from geocache.journal.recorder import record
from geocache.location import Location
from geocache.lookup import alookup, alookup_many, lookup, lookup_many
from geocache.lookup.memory import memory
from geocache.maintenance.forget import forget
from geocache.maintenance.refresh import refresh
from geocache.maintenance.resolve_again import resolve_again
from geocache.models import AnswerHistory, FlushRun, GeoCache
from geocache.signals import flush_finished, location_changed, location_recorded
from tests.factories import LONDON, MOSCOW_V6, NOON, a_location, a_row, use_dummy_provider
from tests.support import processes
from tests.support.metered_provider import asked, configured
from tests.support.receivers import connected, receiving

pytestmark = pytest.mark.django_db

ROME = "2.32.0.1"


@pytest.fixture
def receive() -> Iterator[Callable[..., Any]]:
    """Connect receivers until the end of the test."""
    with ExitStack() as stack:

        def receive(signal: Signal, receiver: Any = None) -> Any:
            if receiver is None:
                return stack.enter_context(receiving(signal))
            return stack.enter_context(connected(signal, receiver))

        yield receive


@pytest.fixture(autouse=True)
def provider(settings: Any) -> Any:
    signals.throttles.clear()
    known = {LONDON: {"country_code": "GB"}, ROME: {"country_code": "IT"}}
    return use_dummy_provider(settings, answers=known)


# --- location_recorded ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "look_up",
    [
        lambda: lookup(f" {LONDON} "),
        lambda: lookup_many([LONDON, f"::ffff:{LONDON}"]),
        lambda: async_to_sync(alookup)(LONDON),
        lambda: async_to_sync(alookup_many)([LONDON]),
        lambda: record([a_location()]),
    ],
)
def test_location_recorded__new_answer(receive: Any, look_up: Any) -> None:
    heard = receive(location_recorded)
    look_up()
    (one,) = heard
    assert one["sender"] is Location
    assert list(one["locations"]) == [LONDON]
    assert one["locations"][LONDON].country_code == "GB"
    with pytest.raises(TypeError):
        one["locations"][ROME] = None


def test_location_recorded__once_for_a_call_of_several_batches(receive: Any) -> None:
    heard = receive(location_recorded)
    addresses = [f"20.0.{n >> 8}.{n & 255}" for n in range(2_500)]
    lookup_many(addresses)
    (one,) = heard
    assert sorted(one["locations"]) == sorted(addresses)


def test_location_recorded__not_of_what_is_known_or_is_not_recorded(
    receive: Any, settings: Any
) -> None:
    lookup_many([LONDON, ROME])
    heard = receive(location_recorded)
    lookup(LONDON)
    lookup_many([LONDON, ROME])
    memory.clear()
    lookup(LONDON)  # a hot entry
    lookup_many([LONDON, ROME])
    lookup("10.0.0.1")
    use_dummy_provider(settings, is_failing=True, version="2")
    assert lookup("9.9.9.9").reason == "unavailable"
    assert heard == []


def test_location_recorded__resolved_again_is_marked(receive: Any) -> None:
    a_row(resolved_at=NOON - timedelta(days=400))
    heard = receive(location_recorded)
    resolve_again([LONDON])
    refresh(time_limit_seconds=60)
    assert [list(one["locations"]) for one in heard] == [[LONDON], [LONDON]]
    assert all(one["locations"][LONDON].is_renewed for one in heard)


def test_location_recorded__receiver_of_what_is_resolved_again_finds_the_new_answer(
    receive: Any, provider: Any
) -> None:
    lookup(LONDON)
    provider.answers = {LONDON: {"country_code": "FR"}}
    found = []
    receive(location_recorded, lambda **_: found.append(lookup(LONDON).country_code))
    a_row()
    resolve_again([LONDON])
    assert found == ["FR"]


def test_location_recorded__what_is_resolved_before_a_failure(
    receive: Any, monkeypatch: pytest.MonkeyPatch, provider: Any
) -> None:
    def fail_later(_: Any, new: dict[str, Location], *__: Any) -> None:
        new[LONDON] = a_location()
        raise ProviderError("no more today")

    heard = receive(location_recorded)
    monkeypatch.setattr(type(provider), "resolve_into", fail_later)
    with pytest.raises(ProviderError):
        resolve_again([LONDON, ROME])
    assert [list(one["locations"]) for one in heard] == [[LONDON]]


def test_location_recorded__written_through_and_later_from_memory(
    receive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = receive(location_recorded)
    monkeypatch.setattr(writer, "append", no_cache)
    with monkeypatch.context() as patched:
        patched.setattr(table_writer, "write", no_database)
        lookup(LONDON)
    assert heard == []
    lookup(ROME)
    assert [set(one["locations"]) for one in heard] == [{LONDON, ROME}]
    assert GeoCache.objects.count() == 2
    assert spill_buffer.buffer.take() == ([], 0)


def no_cache(*_: Any) -> None:
    raise JournalUnavailable("the cache cannot be reached")


def no_database(*_: Any, **__: Any) -> None:
    raise OperationalError("connection refused")


def test_location_recorded__receiver_looks_up(receive: Any, provider: Any) -> None:
    found = []

    def look_up(locations: Any, **_: Any) -> None:
        found.extend([*lookup_many([*locations, ROME]).values()])

    receive(location_recorded, look_up)
    heard = receive(location_recorded)
    assert lookup(LONDON).country_code == "GB"
    assert provider.asked == [LONDON, ROME]
    assert [one.country_code for one in found] == ["IT", "GB", "IT"]
    assert [list(one["locations"]) for one in heard] == [[ROME], [LONDON]]


def test_location_recorded__no_circle_without_any_memory(
    receive: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "MEMORY_TTL_SECONDS": 0}
    provider = use_dummy_provider(settings, answers={LONDON: {"country_code": "GB"}})
    monkeypatch.setattr("geocache.lookup.hot_entries.get", lambda *_: None)
    receive(location_recorded, lambda locations, **_: [lookup(one) for one in locations])
    assert lookup(LONDON).country_code == "GB"
    assert provider.asked == [LONDON, LONDON]


def test_location_recorded__paid_query_holds_no_lock(
    receive: Any, settings: Any, tmp_path: Any
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": configured(tmp_path / "tally")}
    # In the block that the look-up had locked: it would wait for itself.
    receive(location_recorded, lambda **_: lookup("81.2.69.7"))
    lookup(LONDON)
    assert asked(tmp_path / "tally") == [LONDON]


def test_location_recorded__stays_when_the_transaction_of_the_caller_does_not(
    receive: Any,
) -> None:
    heard = receive(location_recorded)
    with transaction.atomic():
        lookup(LONDON)
        transaction.set_rollback(True)
    assert len(heard) == 1
    assert flush_dirty().flushed == 1


# --- receivers -----------------------------------------------------------------------------------


def fails(**_: Any) -> None:
    raise ValueError("of the project")


async def afails(**_: Any) -> None:
    raise ValueError("of the project")


@pytest.mark.parametrize("receiver", [fails, afails])
@pytest.mark.parametrize("look_up", [lookup, async_to_sync(alookup)])
def test_send__failing_receiver_is_logged_once_and_breaks_nothing(
    receive: Any, receiver: Any, look_up: Any
) -> None:
    receive(location_recorded, receiver)
    heard = receive(location_recorded)
    with capture_logs() as logs:
        assert look_up(LONDON).country_code == "GB"
        assert look_up(ROME).country_code == "IT"
    assert logs == [
        {
            "event": "geo_signal_receiver_failed",
            "log_level": "error",
            "signal": "location_recorded",
            "receiver": f"tests.test_signals.{receiver.__name__}",
            "error": "ValueError: of the project",
            "help": "docs/troubleshooting.md#signal-receivers",
        }
    ]
    assert len(heard) == 2
    assert flush_dirty().flushed == 2


def test_send__slow_receiver_is_logged(receive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "SLOW_SECONDS", -1.0)
    receive(location_recorded)
    with capture_logs() as logs:
        lookup(LONDON)
    assert [one["event"] for one in logs] == ["geo_signal_receivers_slow"]


def test_send__async_receiver_runs_in_the_loop_of_the_caller(receive: Any) -> None:
    loops, found = [], []

    async def receiver(**_: Any) -> None:
        loops.append(asyncio.get_running_loop())
        found.append(await alookup(ROME))

    async def page() -> Any:
        return await alookup(LONDON), asyncio.get_running_loop()

    receive(location_recorded, receiver)
    answer, loop = async_to_sync(page)()
    assert answer.country_code == "GB"
    assert loops == [loop, loop]
    assert [one.country_code for one in found] == ["IT", "IT"]


def test_send__sync_receiver_of_an_async_look_up_is_not_in_the_loop(receive: Any) -> None:
    threads = []

    async def page() -> int:
        await alookup(LONDON)
        return threading.get_ident()

    receive(location_recorded, lambda **_: threads.append(threading.get_ident()))
    assert async_to_sync(page)() not in threads


def test_send__async_receiver_under_a_look_up_that_blocks_the_loop(receive: Any) -> None:
    async def receiver(**_: Any) -> None: ...

    async def page() -> Location:
        return lookup(LONDON)

    receive(location_recorded, receiver)
    with capture_logs() as logs:
        assert async_to_sync(page)().country_code == "GB"
    assert [one["event"] for one in logs] == ["geo_signal_receiver_failed"]
    assert flush_dirty().flushed == 1


# --- location_changed ----------------------------------------------------------------------------


def test_location_changed__by_a_flush(receive: Any) -> None:
    a_row(country_code="FR", city="Paris")
    a_row(MOSCOW_V6)
    heard = receive(location_changed)
    record([a_location(resolved_at=NOON + timedelta(days=1)), a_location(ROME)])
    record([a_location(MOSCOW_V6, resolved_at=NOON + timedelta(days=1))])
    flush_dirty()
    (one,) = heard
    (change,) = one["changes"]
    assert one["sender"] is GeoCache
    assert change.address == LONDON
    assert (change.before.city, change.after.city) == ("Paris", "London")
    assert "city" in change.kinds
    assert AnswerHistory.objects.get().new_city == "London"
    flush_dirty()
    assert len(heard) == 1


def test_location_changed__is_the_newest_of_several_answers() -> None:
    a_row(city="Paris")
    later = [a_location(city=f"{n}", resolved_at=NOON + timedelta(days=n)) for n in (2, 3, 1)]
    (change,) = GeoCache.objects.upsert(later)
    assert (change.before.city, change.after.city) == ("Paris", "3")


def test_location_changed__written_through_after_the_commit_of_the_caller(
    receive: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    a_row(city="Paris")
    heard = receive(location_changed)
    monkeypatch.setattr("geocache.cache.backends.breaker.guard", no_cache)
    with django_capture_on_commit_callbacks(execute=True):
        lookup(LONDON)
        assert heard == []
    assert [change.after.source for one in heard for change in one["changes"]] == ["Dummy 1"]
    with transaction.atomic():
        resolve_again([LONDON])
        transaction.set_rollback(True)
    assert len(heard) == 1


@pytest.mark.django_db(transaction=True)
def test_location_changed__receiver_may_flush_and_forget(receive: Any) -> None:
    a_row(city="Paris")
    states, counts = [], []

    def receiver(changes: Any, **_: Any) -> None:
        states.append(connection.in_atomic_block)
        counts.append(flush_dirty().pending)
        counts.append(forget([one.address for one in changes]))

    receive(location_changed, receiver)
    record([a_location(resolved_at=NOON + timedelta(days=1))])
    assert flush_dirty().flushed == 1
    assert (states, counts) == ([False], [0, 1])
    assert not GeoCache.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_location_changed__of_batches_before_one_that_failed(
    receive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_row(city="Paris")
    changed, finished = receive(location_changed), receive(flush_finished)
    record([a_location(resolved_at=NOON + timedelta(days=1))])

    def interrupted(_: Any) -> None:
        raise JournalUnavailable("the cache cannot be reached")

    monkeypatch.setattr("geocache.journal.reader.forget", interrupted)
    with pytest.raises(FlushError):
        flush_dirty()
    assert len(changed) == 1
    assert finished[0]["error"] == "the cache cannot be reached"
    monkeypatch.undo()
    flush_dirty()
    # The same records are read again, and change nothing.
    assert len(changed) == 1


# --- flush_finished ------------------------------------------------------------------------------


def test_flush_finished__figures(receive: Any) -> None:
    heard = receive(flush_finished)
    record([a_location()])
    report = flush_dirty()
    flush_dirty()
    first, second = heard
    assert first == {
        "sender": FlushRun,
        "flushed": 1,
        "rejected": 0,
        "lost": 0,
        "pending": 0,
        "timed_out": False,
        "seconds": report.seconds,
        "error": "",
    }
    assert second["flushed"] == 0


def test_flush_finished__receiver_that_flushes_is_called_once(receive: Any) -> None:
    reports = []
    receive(flush_finished, lambda **_: reports.append(flush_dirty()))
    record([a_location()])
    assert flush_dirty().flushed == 1
    assert [one.flushed for one in reports] == [0]
    flush_dirty()
    assert len(reports) == 2


def test_flush_finished__failing_receiver_leaves_the_flush_as_it_is(receive: Any) -> None:
    receive(flush_finished, fails)
    record([a_location()])
    with capture_logs() as logs:
        assert flush_dirty().flushed == 1
    assert [one["signal"] for one in logs] == ["flush_finished"]


# --- a process that is killed by a receiver ------------------------------------------------------

KILLED = """
import os, signal
from geocache import signals
from geocache.lookup import lookup_many

def kill(**_):
    os.kill(os.getpid(), signal.SIGKILL)

signals.{signal}.connect(kill)
{work}
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("signal", "work"),
    [
        ("location_recorded", f"lookup_many(['{LONDON}', '{ROME}'])"),
        ("flush_finished", "from geocache.journal.flush import flush_dirty; flush_dirty()"),
        ("location_changed", "from geocache.journal.flush import flush_dirty; flush_dirty()"),
    ],
)
def test_send__receiver_that_kills_the_process_loses_no_answer(signal: str, work: str) -> None:
    a_row(city="Paris", country_code="FR", resolved_at=NOON - timedelta(days=1))
    if signal != "location_recorded":
        record([a_location(), a_location(ROME)])
    process = processes.start_script(KILLED.format(signal=signal, work=work))
    output = process.communicate(timeout=60)[0]
    assert process.returncode == -os_signal.SIGKILL, output
    flush_dirty()
    assert set(GeoCache.objects.values_list("address", flat=True)) == {LONDON, ROME}
    assert AnswerHistory.objects.count() == 1
