import time
from threading import Timer
from typing import Any

import pytest
from django.core.signals import request_started
from django.test import Client

from geocache import background, conf, under_test
from geocache.background import Background
from geocache.cache import backends
from geocache.cache.guard import guarded
from geocache.journal.last_seen import tracker
from geocache.lookup import lookup
from geocache.lookup.memory import memory
from geocache.runtime_settings import document, follow, overrides
from tests.factories import a_location
from tests.runtime_settings.test_overrides import TTL, store

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("used_cache")]


@pytest.fixture(autouse=True)
def cache_in_use() -> None:
    """Make the embedded cache, which settings alone do not: each test then runs alone, too."""
    with guarded() as backend:
        backend.set("used", 1)


def as_another_process() -> None:
    """Forget what this process has applied."""
    conf.override({})


def test_follow__another_process_reads_the_document_without_a_query(
    django_assert_num_queries: Any,
) -> None:
    overrides.change(TTL, 60, by="anna")
    as_another_process()
    with django_assert_num_queries(0):
        follow.follow()
    assert conf.get(TTL) == 60


def test_follow__without_a_document_one_process_reads_the_table_for_all(
    django_assert_num_queries: Any,
) -> None:
    store(**{TTL: 60})
    with django_assert_num_queries(1):
        follow.follow()
    as_another_process()
    with django_assert_num_queries(0):
        follow.follow()
    assert conf.get(TTL) == 60


def test_follow__document_of_a_change_is_not_replaced_by_what_was_read_before_it() -> None:
    document.replace({TTL: 70})
    document.offer({TTL: 60})
    assert document.read() == {TTL: 70}


@pytest.mark.slow
def test_follow__document_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "SECONDS", 1)
    document.offer({TTL: 60})
    assert document.read() == {TTL: 60}
    until = time.monotonic() + 5
    while document.read() is not None:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("text", ["[]", "{", 5, '{"TTL_SECONDS": 6', "[" * 99_999, '{"a":' * 9_999])
def test_follow__document_that_cannot_be_read_is_replaced_by_the_table(text: Any) -> None:
    store(**{TTL: 60})
    backends.current().set(f"{document.KEYS}{document.database_id()}", text)
    follow.follow()
    assert conf.get(TTL) == 60


def test_follow__row_that_no_document_can_hold_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Some databases refuse to store half of a character, SQLite does not.
    monkeypatch.setattr(overrides, "read_table", lambda: {TTL: 60, "OLD_NAME": "\ud800"})
    follow.follow()
    assert conf.get(TTL) == 60
    conf.override({})
    overrides.change(TTL, 60, by="anna")
    assert conf.get(TTL) == 60


def test_follow__without_the_cache_reads_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise OSError("connection refused")

    monkeypatch.setattr(backends, "current", fail)
    store(**{TTL: 60})
    follow.follow()
    assert conf.get(TTL) == 60
    overrides.change(TTL, 70, by="anna")
    assert conf.get(TTL) == 70


def test_follow__nothing_that_the_cache_holds_counts_unless_it_is_valid() -> None:
    document.replace({TTL: "long", "PROVIDER": {"BACKEND": "os.system"}, "HISTORY_DAYS": 5})
    follow.follow()
    assert conf.overridden() == {"HISTORY_DAYS": 5}


def test_register__background_follows_every_four_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Background()
    monkeypatch.setattr(background, "every", tasks.every)
    follow.register()
    overrides.change(TTL, 60, by="anna")
    as_another_process()
    tasks.run_due(time.monotonic())
    assert conf.get(TTL) == 60
    document.replace({TTL: 70})
    tasks.run_due(time.monotonic() + 3)
    assert conf.get(TTL) == 60
    tasks.run_due(time.monotonic() + 4)
    assert conf.get(TTL) == 70


def test_ready__first_request_of_a_process_starts_the_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[str] = []

    class Thread:
        def __init__(self, *, name: str, **_: Any) -> None:
            self.name = name

        def start(self) -> None:
            started.append(self.name)

    monkeypatch.setattr(background.of_this_process, "is_running", False)
    monkeypatch.setattr(background.threading, "Thread", Thread)
    monkeypatch.setattr(under_test, "is_this_process", lambda: False)
    for _ in range(2):
        request_started.send(sender=None, environ={})
    assert started == ["geocache background"]


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> follow.FirstRead:
    """One whose process has just started its thread."""
    monkeypatch.setattr(background.of_this_process, "is_running", True)
    return follow.FirstRead()


def test_first_read__first_request_waits_for_it(first: follow.FirstRead) -> None:
    Timer(0.05, first.is_done.set).start()
    first.wait(sender=None, environ={"PATH_INFO": "/"})
    assert first.is_done.is_set()


@pytest.mark.parametrize("request_of", ["environ", "scope"])
def test_first_read__neither_probes_nor_later_requests_wait(
    first: follow.FirstRead, monkeypatch: pytest.MonkeyPatch, request_of: str
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(first.is_done, "wait", waited.append)
    key = "PATH_INFO" if request_of == "environ" else "path"
    for path in ("/geo/health/live", "/health/ready/", "/geo/", "/geo/"):
        first.wait(sender=None, **{request_of: {key: path}})
    assert waited == [follow.PATIENCE_SECONDS]
    first.forget()
    assert first.is_awaited
    assert not first.is_done.is_set()


def test_first_read__without_a_thread_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background.of_this_process, "is_running", False)
    monkeypatch.setattr(follow, "PATIENCE_SECONDS", 60)
    follow.FirstRead().wait(sender=None, environ={})


def test_register__what_was_read_lets_the_first_request_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks = Background()
    monkeypatch.setattr(background, "every", tasks.every)
    monkeypatch.setattr(follow, "first", follow.FirstRead())
    follow.register()
    tasks.run_due(time.monotonic())
    assert follow.first.is_done.is_set()


def test_request__makes_no_query_for_settings(
    client: Client, django_assert_num_queries: Any
) -> None:
    store(**{TTL: 60})
    with django_assert_num_queries(0):
        client.get("/login/")
        assert conf.get(TTL)


def test_lookup__of_an_address_starts_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(background, "start", lambda: calls.append(1))
    lookup("81.2.69.142")
    assert calls == [1]
    lookup("81.2.69.142")
    assert calls == [1]


@pytest.mark.parametrize("name", ["MEMORY_TTL_SECONDS", "MEMORY_SIZE"])
def test_memory__forgets_when_its_time_to_live_or_size_changes(name: str) -> None:
    memory.put([("192.0.2.1", a_location())])
    conf.override({"HISTORY_DAYS": 5})
    assert memory.young
    conf.override({"HISTORY_DAYS": 5, name: 1000})
    assert not memory.young


def test_last_seen__notes_wait_no_longer_than_the_new_interval() -> None:
    tracker.due_at = time.monotonic() + 3600
    conf.override({"FLUSH_INTERVAL_SECONDS": 5})
    assert tracker.due_at <= time.monotonic() + 5
