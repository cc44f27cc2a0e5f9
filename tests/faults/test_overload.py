"""More answers than the journal may hold: the caller writes them through, and says so seldom."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from geocache import log_throttle, lookup
from geocache.cache import backends
from geocache.journal import segments, writer
from geocache.journal.flush import flush_dirty
from geocache.models import GeoCache
from tests.factories import use_dummy_provider

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limit(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow ten answers, each in a segment of its own."""
    use_dummy_provider(settings)
    settings.GEOCACHE = {**settings.GEOCACHE, "BACKLOG_LIMIT": 10}
    monkeypatch.setattr(writer, "SEGMENT_SECONDS", 0)


def look_up(count: int, *, first: int = 0) -> list[Any]:
    """Look addresses up, each a segment of its own, and return what the log says of it."""
    with capture_logs() as logs:
        for number in range(first, first + count):
            address = f"20.0.{number >> 8}.{number & 255}"
            assert lookup.lookup(address).address == address
    return [entry for entry in logs if entry["event"] == "geo_cache_written_through"]


def test_overload__beyond_the_limit_answers_are_written_through_and_none_is_lost() -> None:
    flush_dirty()

    said = look_up(50)

    assert GeoCache.objects.count() == 40
    assert len(said) == 1
    assert "the backlog is over its limit" in said[0]["error"]
    flush_dirty()
    assert GeoCache.objects.count() == 50


def test_overload__before_the_first_flush_the_limit_holds_too() -> None:
    look_up(50)

    assert GeoCache.objects.count() == 40


@pytest.mark.parametrize("name", [segments.Name.HEAD, segments.Name.TICKET])
def test_overload__the_limit_holds_when_the_cache_has_lost_a_key(name: segments.Name) -> None:
    flush_dirty()
    backends.current().delete(segments.key(name))

    look_up(50)

    assert GeoCache.objects.count() == 40


def test_overload__is_said_once_a_minute_and_not_once_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flush_dirty()
    look_up(20)
    now = log_throttle.time.monotonic()
    counts = []

    for number, seconds in enumerate((30, 61, 90, 122)):
        monkeypatch.setattr(log_throttle, "time", Clock(now + seconds))
        counts.append(len(look_up(5, first=100 + 10 * number)))

    assert counts == [0, 1, 0, 1]


class Clock:
    """Stands for the module ``time``."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now


def test_overload__is_over_when_the_backlog_is_flushed() -> None:
    flush_dirty()
    look_up(50)
    flush_dirty()
    before = GeoCache.objects.count()

    said = look_up(5, first=100)

    assert said == []
    assert GeoCache.objects.count() == before
