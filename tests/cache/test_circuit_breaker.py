from typing import Any

import pytest

from geocache import counters
from geocache.cache import circuit_breaker
from geocache.cache.circuit_breaker import CircuitBreaker
from geocache.exceptions import CacheSilent, ProviderError

pytestmark = pytest.mark.cache_decides


class Clock:
    now = 0.001

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_000_000 + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(circuit_breaker, "time", clock)
    return clock


@pytest.fixture
def watched(clock: Clock) -> Any:
    """Ask something that takes some time and then fails, or not; tell what came of it."""
    one = CircuitBreaker(slow_seconds=0.5, open_seconds=5)

    def ask(*, seconds: float = 0, error: Exception | None = None) -> str:
        try:
            with one.guard():
                clock.now += seconds
                if error:
                    raise error
        except (OSError, CacheSilent) as caught:
            return type(caught).__name__
        return "answered"

    return ask


def test_breaker__what_fails_slowly_is_not_asked_for_a_while(watched: Any, clock: Clock) -> None:
    assert watched(seconds=2, error=TimeoutError()) == "TimeoutError"
    clock.now += 4.9
    assert watched() == "CacheSilent"
    clock.now += 0.2
    assert watched() == "answered"


def test_breaker__to_be_spared_does_not_make_the_rest_longer(watched: Any, clock: Clock) -> None:
    watched(seconds=2, error=TimeoutError())
    for _ in range(4):
        clock.now += 1
        assert watched() == "CacheSilent"
    clock.now += 1.1
    assert watched() == "answered"


def test_breaker__what_fails_at_once_is_asked_again(watched: Any) -> None:
    assert watched(error=ConnectionRefusedError()) == "ConnectionRefusedError"
    assert watched() == "answered"


def test_breaker__what_is_slow_but_answers_is_asked_again(watched: Any) -> None:
    assert watched(seconds=3) == "answered"
    assert watched() == "answered"


def test_breaker__says_what_it_was_told_to_say(clock: Clock) -> None:
    one = CircuitBreaker(
        slow_seconds=0, open_seconds=5, open_error=lambda: ProviderError("resting")
    )
    with pytest.raises(OSError, match="refused"), one.guard():
        raise OSError("refused")
    with pytest.raises(ProviderError, match="resting"), one.guard():
        pass
    clock.now += 5
    with one.guard():
        pass


def test_record_failure__one_opening_is_counted_for_all_that_waited(clock: Clock) -> None:
    one = CircuitBreaker(slow_seconds=0.5, open_seconds=5, name="a service")
    openings, open_until = (
        (name, "a service") for name in (counters.BREAKER_OPENINGS, counters.BREAKER_OPEN_UNTIL)
    )
    started = clock.now
    clock.now += 1
    for _ in range(3):
        one.record_failure(started)
    assert counters.totals() == {openings: 1}
    assert counters.marks() == {open_until: 1_000_006}
    clock.now += 10
    one.record_failure(clock.now - 1)
    assert counters.totals() == {openings: 2}
    one.record_failure(clock.now - 0.1)
    assert counters.totals() == {openings: 2}
