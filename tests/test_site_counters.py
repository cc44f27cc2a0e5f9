import threading
import time
from typing import Any

import pytest

from geocache import counters, site_counters, under_test
from geocache.cache import backends
from geocache.counters import Series
from geocache.exceptions import CacheUnavailable
from geocache.site_counters import Sender
from tests.support import cache_set_ups

ONE, TWO = ("lookups", "one"), ("lookups", "two")
pytestmark = pytest.mark.cache_decides


def read() -> dict[Series, int]:
    return site_counters.read([ONE, TWO])


def fail(*_: object, **__: object) -> None:
    raise CacheUnavailable("away")


def test_send__adds_what_is_new_since_the_last_time() -> None:
    sender = Sender()
    counters.count(ONE, 2)
    assert sender.send()
    assert sender.send()
    assert read() == {ONE: 2}
    counters.count(ONE)
    counters.count(TWO, 5)
    assert sender.send()
    assert read() == {ONE: 3, TWO: 5}


def test_send__several_processes_add_up() -> None:
    counters.count(ONE, 2)
    for _ in range(3):
        Sender().send()
    assert read() == {ONE: 6}


def test_send__nothing_new_makes_no_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = Sender()
    counters.count(ONE)
    sender.send()
    monkeypatch.setattr(site_counters, "guarded", fail)
    assert sender.send()
    assert not sender.has_news()


def test_send__while_the_cache_is_away_all_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = Sender()
    counters.count(ONE, 2)
    counters.mark(TWO, 9)
    with monkeypatch.context() as away:
        away.setattr(backends, "current", fail)
        assert not sender.send()
        counters.count(ONE, 3)
        assert not sender.send()
    assert sender.has_news()
    assert sender.send()
    assert read() == {ONE: 5, TWO: 9}


def test_send__a_mark_is_the_newest_value() -> None:
    sender = Sender()
    for value in (7, 3):
        counters.mark(ONE, value)
        assert sender.has_news()
        sender.send()
        assert read() == {ONE: value}
    assert not sender.has_news()


def test_send__a_cache_that_was_emptied_begins_again() -> None:
    sender = Sender()
    counters.count(ONE, 5)
    sender.send()
    backends.current().delete(site_counters.key(ONE))
    counters.count(ONE, 2)
    sender.send()
    assert read() == {ONE: 2}


def test_read__what_is_not_a_number_is_left_out() -> None:
    backends.current().set(site_counters.key(ONE), "text")
    assert read() == {}


def test_key__labels_of_any_letters() -> None:
    names = [("a",), ("a", "b"), ("a", "b c\n" * 99), ("a", "b", "c"), ("a", "bc")]
    keys = {site_counters.key(one) for one in names}
    assert len(keys) == len(names)
    assert all(len(one) < 60 and one.isprintable() and " " not in one for one in keys)


def test_send_within__does_not_wait_for_a_cache_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_over = threading.Event()
    monkeypatch.setattr(site_counters, "send", is_over.wait)
    counters.count(ONE)
    started = time.monotonic()
    site_counters.send_within(0.01)
    assert time.monotonic() - started < 1
    is_over.set()


def test_send_within__without_news_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", fail)
    site_counters.send_within(1)


def test_send_within__where_no_thread_can_be_started_it_sends_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)
    counters.count(ONE)
    site_counters.send_within(1)
    assert read() == {ONE: 1}


def test_send_at_exit__what_a_test_run_has_counted_is_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counters.count(ONE)
    site_counters.send_at_exit()
    assert read() == {}
    monkeypatch.setattr(under_test, "is_this_process", lambda: False)
    monkeypatch.setattr(site_counters, "send_within", lambda _: site_counters.send())
    # Not in the embedded cache of the site: this test's is that of the settings.
    current = backends.current()
    monkeypatch.setattr(backends, "current", lambda: current)
    site_counters.send_at_exit()
    assert read() == {ONE: 1}


def plain(location: str) -> dict[str, Any]:
    """Django's Redis as it is by default."""
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": location}


@pytest.mark.parametrize(
    "entry_of",
    [
        plain,
        cache_set_ups.djangos,
        cache_set_ups.with_django_redis,
    ],
)
def test_send__on_each_cache_in_redis(entry_of: Any, settings: Any, redis_url: str) -> None:
    prefix = settings.CACHES["geocache"]["KEY_PREFIX"]
    entry = {**entry_of(redis_url), "KEY_PREFIX": prefix}
    settings.CACHES = {**settings.CACHES, "geocache": entry}
    sender = Sender()
    try:
        for step in (2, 3):
            counters.count(ONE, step)
            counters.count(TWO)
            counters.mark(("lookups", "three"), step)
            assert sender.send()
        assert site_counters.read([ONE, TWO, ("lookups", "three")]) == {
            ONE: 5,
            TWO: 2,
            ("lookups", "three"): 3,
        }
        assert backends.current().get(site_counters.key(ONE)) == 5
    finally:
        names = [ONE, TWO, ("lookups", "three")]
        backends.current().delete_many([site_counters.key(one) for one in names])


def test_send__on_a_cache_that_fails_between_two_counters(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "counters"}
    settings.CACHES = {**settings.CACHES, "geocache": memory}
    sender, backend = Sender(), backends.current()
    backend.clear()
    counters.count(ONE)
    counters.count(TWO)
    with monkeypatch.context() as failing:
        add = backends.raised
        failing.setattr(
            backends, "raised", lambda *given: fail() if TWO in sender_keys(given) else add(*given)
        )
        assert not sender.send()
    assert read() == {ONE: 1}
    assert sender.send()
    assert read() == {ONE: 1, TWO: 1}


def sender_keys(given: tuple[Any, ...]) -> list[Series]:
    return [one for one in (ONE, TWO) if site_counters.key(one) in given]
