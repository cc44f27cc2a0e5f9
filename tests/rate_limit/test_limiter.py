import time

import pytest
from django.core.exceptions import ImproperlyConfigured

from geocache.cache import backends
from geocache.exceptions import RateExceeded
from geocache.rate_limit import limiter

pytestmark = pytest.mark.cache_decides


def use_rate(settings, rate):
    settings.GEOCACHE = {**settings.GEOCACHE, "LOOKUP_RATE": rate}


def wait(asker, cost=1):
    """Return how long one has to wait, or 0."""
    try:
        limiter.spend("LOOKUP_RATE", asker, cost)
    except RateExceeded as error:
        return error.seconds or -1
    return 0


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: 10 minutes past the hour."""

    class Clock:
        now = 1_800_000_600.0

    monkeypatch.setattr(limiter.time, "time", lambda: Clock.now)
    return Clock


def test_spend__until_the_period_ends(settings, clock):
    use_rate(settings, "2/hour")
    assert [wait("a") for _ in range(4)] == [0, 0, 3000, 3000]
    clock.now += 2999.5
    assert wait("a") == 1
    clock.now += 1
    assert wait("a") == 0


@pytest.mark.usefixtures("clock")
def test_spend__each_asker_has_a_count(settings):
    use_rate(settings, "1/hour")
    assert [wait(asker) for asker in "abab"] == [0, 0, 3000, 3000]


@pytest.mark.usefixtures("clock")
def test_spend__counts_addresses_and_what_is_refused_does_not_count(settings):
    use_rate(settings, "10/hour")
    assert [wait("a", cost) for cost in (8, 3, 2, 1)] == [0, 3000, 0, 3000]


@pytest.mark.usefixtures("clock")
def test_spend__more_than_the_limit_at_once_is_never_allowed(settings):
    use_rate(settings, "10/hour")
    with pytest.raises(RateExceeded, match="at most 10") as caught:
        limiter.spend("LOOKUP_RATE", "a", 11)
    assert (caught.value.amount, caught.value.seconds) == (10, 0)
    assert wait("a", 10) == 0


def test_spend__each_of_several_limits_holds(settings, clock):
    use_rate(settings, "2/minute; 3/hour")
    assert [wait("a") for _ in range(3)] == [0, 0, 60]
    clock.now += 60
    # What the second limit refuses does not count in the first.
    assert [wait("a", 2), wait("a"), wait("a")] == [2940, 0, 2940]


@pytest.mark.parametrize("rate", [None, ""])
def test_spend__no_limit_asks_no_cache(settings, monkeypatch, rate):
    use_rate(settings, rate)
    monkeypatch.setattr(backends, "current", lambda: 1 / 0)
    assert wait("a", 10**9) == 0


@pytest.mark.usefixtures("clock")
def test_spend__while_the_cache_is_down_each_process_counts(settings, monkeypatch):
    use_rate(settings, "2/hour")
    monkeypatch.setattr(backends, "current", lambda: 1 / 0)
    assert [wait("a") for _ in range(4)] == [0, 0, 3000, 3000]
    assert wait("b") == 0


def test_spend__cache_that_hangs_is_waited_for_once(settings, monkeypatch):
    use_rate(settings, "100/hour")
    asked = []

    def hang(*_given, **_named):
        asked.append(1)
        time.sleep(0.6)
        raise OSError("timed out")

    monkeypatch.setattr(type(backends.current()), "add", hang)
    assert [wait("a") for _ in range(5)] == [0] * 5
    assert len(asked) == 1


def test_process_storage__is_bounded(settings, monkeypatch):
    use_rate(settings, "1/hour")
    monkeypatch.setattr(backends, "current", lambda: 1 / 0)
    monkeypatch.setattr(limiter, "MAX_PROCESS_COUNTERS", 10)
    for n in range(50):
        wait(f"visitor/{n}")
    assert len(limiter.ProcessStorage.counts) <= 11


def test_cache_storage__counts_one_period(clock):
    storage = limiter.CacheStorage(60)
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
    limiter.CacheStorage(60).incr("a", 60)
    assert timeouts == [120]


def test_cache_storage__clear_forgets_one():
    storage = limiter.CacheStorage(3600)
    storage.incr("a", 3600)
    storage.incr("b", 3600)
    storage.clear("a")
    assert (storage.get("a"), storage.get("b")) == (0, 1)


@pytest.mark.parametrize("rate", ["often", 5, "0", "1/fortnight"])
def test_rate__nonsense_is_said(settings, rate):
    use_rate(settings, rate)
    with pytest.raises(ImproperlyConfigured, match="LOOKUP_RATE"):
        limiter.limits_of("LOOKUP_RATE")
