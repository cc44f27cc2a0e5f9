"""What is noted of a provider's calls: when it answered, and since when it has not."""

import time

import pytest

from geocache import counters
from geocache.exceptions import ProviderError
from geocache.location import Location
from geocache.providers import measured
from geocache.providers.dummy import DummyProvider

pytestmark = pytest.mark.any_services


class Failing(DummyProvider):
    """Answers nothing while it is away."""

    is_away = True

    def resolve(self, address: str) -> Location:
        if self.is_away:
            raise ProviderError("away")
        return super().resolve(address)


def ask(provider: Failing) -> None:
    try:
        measured.resolve_into(provider, {}, ["9.9.9.9"])
    except ProviderError:
        assert provider.is_away


def marks(label: str) -> tuple[int, int, int]:
    names = ("provider_answered", "provider_failed", "provider_failing_since")
    answered, failed, since = (counters.marked((name, label)) for name in names)
    return answered, failed, since


def test_resolve_into__notes_since_when_nothing_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider, now = Failing(), 1_000_000
    monkeypatch.setattr(time, "time", lambda: float(now))
    ask(provider)
    now += 100
    ask(provider)
    assert marks(provider.label) == (0, 1_000_100, 1_000_000)
    provider.is_away = False
    now += 100
    ask(provider)
    assert marks(provider.label)[0] == 1_000_200
    provider.is_away = True
    now += 100
    ask(provider)
    assert marks(provider.label) == (1_000_200, 1_000_300, 1_000_300)


def test_resolve_into__failures_that_are_far_apart_are_no_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider, now = Failing(), 1_000_000
    monkeypatch.setattr(time, "time", lambda: float(now))
    ask(provider)
    now += measured.STREAK_SECONDS
    ask(provider)
    assert marks(provider.label) == (0, now, now)
