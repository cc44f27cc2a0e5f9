import pytest
from django.core.exceptions import ImproperlyConfigured

from geocache.api import rate_limit
from geocache.cache import backends


def use_rate(settings, rate):
    settings.GEOCACHE = {**settings.GEOCACHE, "API_RATE": rate}


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: 10 minutes past the hour."""

    class Clock:
        now = 1_800_000_600.0

    monkeypatch.setattr(rate_limit.time, "time", lambda: Clock.now)
    return Clock


def test_seconds_to_wait__until_the_period_ends(settings, clock):
    use_rate(settings, "2/hour")
    assert [rate_limit.seconds_to_wait("a") for _ in range(4)] == [0, 0, 3000, 3000]
    clock.now += 2999.5
    assert rate_limit.seconds_to_wait("a") == 1
    clock.now += 1
    assert rate_limit.seconds_to_wait("a") == 0


@pytest.mark.usefixtures("clock")
def test_seconds_to_wait__each_asker_has_a_count(settings):
    use_rate(settings, "1/hour")
    assert [rate_limit.seconds_to_wait(asker) for asker in "abab"] == [0, 0, 3000, 3000]


@pytest.mark.parametrize("rate", [None, ""])
def test_seconds_to_wait__no_limit_asks_no_cache(settings, monkeypatch, rate):
    use_rate(settings, rate)
    monkeypatch.setattr(backends, "current", lambda: 1 / 0)
    assert rate_limit.seconds_to_wait("a") == 0


def test_seconds_to_wait__cache_that_is_down_limits_nobody(settings, monkeypatch):
    use_rate(settings, "1/hour")
    monkeypatch.setattr(backends, "current", lambda: 1 / 0)
    assert [rate_limit.seconds_to_wait("a") for _ in range(3)] == [0, 0, 0]


def test_cache_storage__counts_one_period(clock):
    storage = rate_limit.CacheStorage(60)
    assert [storage.incr("a", 60), storage.incr("a", 60, amount=5), storage.get("a")] == [1, 6, 6]
    clock.now += 60
    assert storage.get("a") == 0


def test_cache_storage__counters_do_not_stay_for_ever(monkeypatch):
    timeouts = []
    add = backends.current().add
    monkeypatch.setattr(
        backends.current(),
        "add",
        lambda key, value, timeout: timeouts.append(timeout) or add(key, value, timeout),
    )
    rate_limit.CacheStorage(60).incr("a", 60)
    assert timeouts == [120]


def test_cache_storage__clear_forgets_one():
    storage = rate_limit.CacheStorage(3600)
    storage.incr("a", 3600)
    storage.incr("b", 3600)
    storage.clear("a")
    assert (storage.get("a"), storage.get("b")) == (0, 1)


@pytest.mark.parametrize("rate", ["often", 5, "0", "1/fortnight"])
def test_rate__nonsense_is_said(settings, rate):
    use_rate(settings, rate)
    with pytest.raises(ImproperlyConfigured, match="API_RATE"):
        rate_limit.rate()
