import asyncio
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from geocache import conf
from geocache.cache import backends
from geocache.exceptions import CacheUnavailable
from geocache.integrations import hot_reader
from geocache.integrations.hot_reader import HotReader, read_hot_entries
from geocache.location import Location
from geocache.lookup import hot_entries
from geocache.lookup.memory import memory
from tests.factories import LONDON, a_location, use_dummy_provider

PARIS = "2.0.0.1"


class Cache:
    """What the thread reads: it may hang until it is released, or fail."""

    def __init__(self, *known: str) -> None:
        self.known = {address: a_location(address) for address in known}
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.error: Exception | None = None

    def read(self, texts: Sequence[str]) -> dict[str, Location]:
        self.asked.extend(texts)
        assert self.may_answer.wait(30)
        if self.error:
            raise self.error
        return {text: self.known[text] for text in texts if text in self.known}


@pytest.fixture
def cache() -> Iterator[Cache]:
    cache = Cache(LONDON)
    yield cache
    cache.may_answer.set()


@pytest.fixture
def with_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that runs no tests, on a machine that is never too busy for the thread."""
    monkeypatch.setattr(hot_reader.under_test, "is_this_process", lambda: False)
    monkeypatch.setattr(hot_reader, "WAIT_SECONDS", 30)


@pytest.mark.usefixtures("with_thread")
def test_get__waits_for_the_thread_and_keeps_what_it_read(cache: Cache) -> None:
    reader = HotReader(cache.read)
    assert reader.get(LONDON) == a_location(LONDON)
    assert reader.get(PARIS) is None
    assert (reader.get(LONDON), reader.get(PARIS)) == (a_location(LONDON), None)
    assert cache.asked == [LONDON, PARIS]


def test_get__in_a_test_reads_at_once_and_keeps_nothing(cache: Cache) -> None:
    reader = HotReader(cache.read)
    before = set(threading.enumerate())
    for _ in range(2):
        assert reader.get(LONDON) == a_location(LONDON)
    assert cache.asked == [LONDON, LONDON]
    assert set(threading.enumerate()) <= before


@pytest.mark.usefixtures("with_thread")
def test_get__of_a_cache_that_hangs_one_waits_and_no_other(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_reader, "WAIT_SECONDS", 0.002)
    cache.may_answer.clear()
    reader = HotReader(cache.read)
    waits: list[float] = []
    real = threading.Event.wait

    def wait(event: threading.Event, timeout: float | None = None) -> bool:
        waits.append(timeout or 0)
        return real(event, timeout)

    reader.get(LONDON)
    monkeypatch.setattr(threading.Event, "wait", wait)
    assert [reader.get(f"1.0.{number}.1") for number in range(100)] == [None] * 100
    assert 0.002 not in waits
    monkeypatch.undo()
    monkeypatch.setattr(hot_reader.under_test, "is_this_process", lambda: False)
    (event,) = [event for text, event in reader.waiting.items() if text == LONDON]
    cache.may_answer.set()
    # What came too late is there for the next line.
    assert event.wait(30)
    assert reader.get(LONDON) == a_location(LONDON)


@pytest.mark.usefixtures("with_thread")
def test_get__is_bounded_while_the_cache_hangs(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_reader, "MOST_WAITING", 10)
    cache.may_answer.clear()
    reader = HotReader(cache.read)
    reader.is_prompt = False
    for number in range(100):
        assert reader.get(f"1.0.{number}.1") is None
    assert len(reader.waiting) == 10


@pytest.mark.usefixtures("with_thread")
def test_get__in_an_event_loop_never_waits(cache: Cache) -> None:
    cache.may_answer.clear()
    reader = HotReader(cache.read)

    async def get() -> Location | None:
        return reader.get(LONDON)

    assert asyncio.run(get()) is None
    assert reader.waiting


@pytest.mark.usefixtures("with_thread")
def test_get__before_django_is_set_up_starts_nothing(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_reader.apps, "ready", False)
    assert HotReader(cache.read).get(LONDON) is None
    assert cache.asked == []


@pytest.mark.usefixtures("with_thread")
def test_get__a_line_of_the_thread_itself_asks_for_nothing() -> None:
    found: list[object] = []

    def read(_: Sequence[str]) -> dict[str, Location]:
        found.append(reader.get(PARIS))
        return {}

    reader = HotReader(read)
    reader.get(LONDON)
    assert found == [None]
    assert not reader.waiting


@pytest.mark.parametrize("error", [CacheUnavailable("away"), RuntimeError("shutdown")])
def test_answer__a_failure_is_kept_for_nobody_and_makes_none_wait(
    cache: Cache, error: Exception
) -> None:
    reader = HotReader(cache.read)
    cache.error = error
    with capture_logs() as logs:
        assert reader.answer([LONDON]) is False
    assert (logs, reader.is_prompt) == ([], False)
    cache.error = None
    assert reader.answer([LONDON]) is True
    assert reader.is_prompt


def test_answer__a_slow_one_makes_none_wait(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_reader, "WAIT_SECONDS", 0)
    reader = HotReader(cache.read)
    assert reader.answer([LONDON]) is True
    assert not reader.is_prompt


def test_answer__keeps_a_bounded_number_for_a_while(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_reader, "MOST_KEPT", 3)
    addresses = [f"1.0.{number}.1" for number in range(10)]
    cache.known = {address: a_location(address) for address in addresses}
    reader = HotReader(cache.read)
    for address in addresses:
        reader.answer([address])
    cache.known = {}
    known = [address for address in addresses if reader.get(address)]
    assert known == addresses[-4:]
    # As in the memory of a process.
    now = time.monotonic()
    monkeypatch.setattr(hot_reader.time, "monotonic", lambda: now + 60)
    assert reader.get(addresses[-1]) is None


@pytest.mark.usefixtures("with_thread")
def test_reader__forgets_what_was_kept_for_another_time_to_live(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = HotReader(cache.read)
    monkeypatch.setattr(hot_reader, "reader", reader)
    reader.answer([LONDON])
    conf.override({"HISTORY_DAYS": 5})
    assert reader.get(LONDON)
    assert cache.asked == [LONDON]
    conf.override({"MEMORY_TTL_SECONDS": 1})
    assert reader.get(LONDON)
    assert cache.asked == [LONDON, LONDON]


def test_reader__a_forked_child_begins_again(cache: Cache) -> None:
    reader = HotReader(cache.read)
    reader.get(LONDON)
    reader.forget()
    assert reader.get(LONDON) == a_location(LONDON)
    assert cache.asked == [LONDON, LONDON]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("with_thread")
def test_reader__of_a_forked_process_has_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_reader.reader, "read", lambda _: {LONDON: a_location(LONDON)})
    try:
        assert hot_reader.reader.get(LONDON)
        child = os.fork()
        if not child:
            os._exit(0 if hot_reader.reader.get(LONDON) else 1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        hot_reader.reader.forget()


def test_read_hot_entries__are_those_of_the_last_look_ups_build(settings: Any) -> None:
    provider = use_dummy_provider(settings)
    hot_entries.set_many(provider.build(), [a_location(LONDON)])
    memory.follow(provider.build())
    with capture_logs() as logs:
        assert read_hot_entries([LONDON, PARIS]) == {LONDON: a_location(LONDON)}
        backends.current().set(hot_entries.key(provider.build(), LONDON), "nonsense")
        assert read_hot_entries([LONDON]) == {}
    assert (provider.asked, logs) == ([], [])


def test_read_hot_entries__of_a_process_without_look_ups(settings: Any) -> None:
    provider = use_dummy_provider(settings)
    hot_entries.set_many(provider.build(), [a_location(LONDON)])
    memory.build = ""
    assert read_hot_entries([LONDON]).keys() == {LONDON}


def test_read_hot_entries__of_a_metered_provider_are_also_networks(settings: Any) -> None:
    provider = use_dummy_provider(settings)
    provider.is_metered = True
    known = a_location("81.2.69.1", network="81.2.69.0/24")
    hot_entries.set_many(provider.build(), [known], with_networks=True)
    memory.follow(provider.build())
    found = read_hot_entries([LONDON])
    assert (found[LONDON].address, found[LONDON].network) == (LONDON, "81.2.69.0/24")
