"""What is noted of a provider's calls: when it answered, and since when it has not."""

import asyncio
import time
from collections.abc import Iterable

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


def counted(provider: DummyProvider) -> tuple[int, int]:
    """How many addresses it was queried about, and on how many it failed."""
    names = (counters.PROVIDER_QUERIES, counters.PROVIDER_FAILURES)
    queries, failures = (counters.totals().get((name, provider.label), 0) for name in names)
    return queries, failures


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


class Hanging(DummyProvider):
    """Answers about so many addresses, and never about the next."""

    answered_count = 0

    async def aresolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        for address in list(addresses)[: self.answered_count]:
            answers[address] = self.resolve(address)
        await asyncio.Event().wait()


def test_aresolve_into__counts_as_resolve_into_does() -> None:
    provider = Failing()
    with pytest.raises(ProviderError):
        asyncio.run(measured.aresolve_into(provider, {}, ["9.9.9.9"]))
    provider.is_away = False
    answers: dict[str, Location] = {}
    asyncio.run(measured.aresolve_into(provider, answers, ["9.9.9.9"]))
    assert list(answers) == ["9.9.9.9"]
    assert counted(provider) == (2, 1)
    assert all(marks(provider.label))


@pytest.mark.parametrize("answered_count", [0, 1])
def test_aresolve_into__what_was_cancelled_has_not_failed(answered_count: int) -> None:
    provider = Hanging()
    provider.answered_count = answered_count

    async def ask_and_cancel() -> None:
        async with asyncio.timeout(0):
            await measured.aresolve_into(provider, {}, ["9.9.9.9", "9.9.9.10"])

    with pytest.raises(TimeoutError):
        asyncio.run(ask_and_cancel())
    assert counted(provider) == (answered_count, 0)
    assert marks(provider.label)[1:] == (0, 0)
