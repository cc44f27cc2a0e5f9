import pytest

from geocache import log_throttle
from geocache.log_throttle import LogThrottle


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(log_throttle, "time", clock)
    return clock


def test_throttle__is_due_at_once_even_just_after_the_machine_has_started(clock):
    clock.now = 0.001
    assert LogThrottle(seconds=60).is_due()


def test_throttle__is_due_once_in_its_seconds(clock):
    once_a_minute = LogThrottle(seconds=60)
    due_at = []
    for second in range(200):
        clock.now = float(second)
        if once_a_minute.is_due():
            due_at.append(second)
    assert due_at == [0, 60, 120, 180]


def test_throttle__each_has_a_time_of_its_own(clock):
    clock.now = 5.0
    first, second = LogThrottle(seconds=60), LogThrottle(seconds=60)
    assert (first.is_due(), first.is_due()) == (True, False)
    assert second.is_due()
