from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from geocache.cache import backends
from geocache.exceptions import ProviderError
from geocache.location import Location
from geocache.log_throttle import LogThrottle
from geocache.providers import quota
from geocache.providers.base import Provider
from geocache.providers.dummy import DummyProvider
from geocache.providers.factory import make
from geocache.providers.quota import Usage, ask, usages

ADDRESSES = [f"20.0.0.{n}" for n in range(20)]


@pytest.fixture(autouse=True)
def not_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "spent", LogThrottle(seconds=60))
    monkeypatch.setattr(quota, "uncounted", LogThrottle(seconds=60))
    monkeypatch.setattr(quota, "few_left", LogThrottle(seconds=3600))


def dummy(limit: int | None = None, *, name: str = "Dummy", **options: Any) -> dict[str, Any]:
    backend = "geocache.providers.dummy.DummyProvider"
    given = {"name": name, "is_metered": True, "queries_per_day": limit, **options}
    return {"BACKEND": backend, "OPTIONS": given}


def made(limit: int | None = None, **options: Any) -> DummyProvider:
    provider = make(dummy(limit, **options))
    assert isinstance(provider, DummyProvider)
    return provider


def usage(provider: Provider) -> Usage:
    (one,) = usages(provider)
    return one


def test_ask__counts_each_address_of_a_metered_provider() -> None:
    provider = made()
    ask(provider, ADDRESSES[:3])
    ask(provider, ADDRESSES[3:4])
    assert usage(provider) == Usage(provider="Dummy 1", asked_count=4)


def test_ask__counts_nothing_of_one_that_is_free() -> None:
    provider = DummyProvider()
    ask(provider, ADDRESSES)
    assert usages(provider) == []


def test_ask__of_nothing_is_nothing() -> None:
    assert ask(made(0), []) == {}


def test_ask__counts_a_question_that_failed() -> None:
    """The service may have sent a bill for it."""
    provider = made(is_failing=True)
    with pytest.raises(ProviderError):
        ask(provider, ADDRESSES[:2])
    assert usage(provider).asked_count == 2


def test_ask__answers_as_many_as_the_limit_allows() -> None:
    provider = made(5)
    assert list(ask(provider, ADDRESSES[:3])) == ADDRESSES[:3]
    assert list(ask(provider, ADDRESSES[3:8])) == ADDRESSES[3:5]
    with pytest.raises(ProviderError, match="Dummy 1: nothing is left"):
        ask(provider, ADDRESSES[8:])
    assert provider.asked == ADDRESSES[:5]
    assert usage(provider) == Usage(provider="Dummy 1", asked_count=5, limit=5)


def test_ask__many_at_once_never_go_beyond_the_limit() -> None:
    provider = made(10)

    def one(address: str) -> bool:
        try:
            return bool(ask(provider, [address]))
        except ProviderError:
            return False

    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(one, ADDRESSES))
    assert sum(answered) == len(provider.asked) <= 10
    assert usage(provider).asked_count <= 10


def test_ask__another_day_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now_is = datetime(2026, 1, 2, 23, 59, tzinfo=UTC)

        @classmethod
        def now(cls, _: object) -> datetime:
            return cls.now_is

    monkeypatch.setattr(quota, "datetime", Clock)
    provider = made(2)
    ask(provider, ADDRESSES[:2])
    Clock.now_is = datetime(2026, 1, 3, tzinfo=UTC)
    assert usage(provider).asked_count == 0
    assert ask(provider, ADDRESSES[:1])


def test_ask__warns_once_before_the_limit_and_once_at_it() -> None:
    provider = made(10)
    with capture_logs() as logs:
        for address in ADDRESSES[:7]:
            ask(provider, [address])
    assert logs == []
    with capture_logs() as logs:
        for address in ADDRESSES[7:10]:
            ask(provider, [address])
    assert [(entry["event"], entry["asked"]) for entry in logs] == [("geo_budget_low", 8)]
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(ProviderError):
                ask(provider, ADDRESSES[10:])
    assert [entry["event"] for entry in logs] == ["geo_budget_spent"]


class Down:
    def refuse(self, *_: object, **__: object) -> None:
        raise OSError("down")

    incr = add = set = refuse


def test_ask__what_cannot_be_counted_is_not_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    limited, free = made(10), made(name="Unlimited")
    monkeypatch.setattr(backends, "current", Down)
    with capture_logs() as logs:
        with pytest.raises(ProviderError):
            ask(limited, ADDRESSES)
        assert len(ask(free, ADDRESSES)) == len(ADDRESSES)
    assert limited.asked == []
    assert [entry["event"] for entry in logs] == ["geo_queries_uncounted"]


class Telling(DummyProvider):
    """A service that says how many queries are left, as the last thing before it fails."""

    def resolve(self, address: str) -> Location:
        self.queries_remaining = 0 if self.is_failing else 7
        return super().resolve(address)


def test_ask__shares_what_the_service_says_is_left() -> None:
    provider = Telling(is_metered=True)
    ask(provider, ADDRESSES[:1])
    assert (usage(Telling(is_metered=True)).remaining_count, usage(provider).is_low) == (7, True)
    provider.is_failing = True
    with pytest.raises(ProviderError):
        ask(provider, ADDRESSES[:1])
    assert (usage(provider).remaining_count, usage(provider).is_low) == (0, True)


@pytest.mark.parametrize(("asked_count", "is_low"), [(7, False), (8, True), (10, True)])
def test_usage__is_low_from_four_fifths_on(asked_count: int, is_low: bool) -> None:
    assert Usage(provider="a", asked_count=asked_count, limit=10).is_low is is_low
    assert not Usage(provider="a", asked_count=asked_count).is_low


@pytest.mark.parametrize(("remaining", "is_low"), [(None, False), (100, False), (99, True)])
def test_usage__is_low_when_the_service_has_few_left(remaining: int | None, is_low: bool) -> None:
    assert Usage(provider="a", asked_count=1, remaining_count=remaining).is_low is is_low


def test_ask__warns_when_the_service_has_few_left() -> None:
    with capture_logs() as logs:
        for _ in range(2):
            ask(Telling(is_metered=True), ADDRESSES[:1])
    assert [(one["event"], one["remaining"]) for one in logs] == [("geo_budget_low", 7)]


@pytest.mark.parametrize(
    ("limit", "remaining", "left"),
    [(None, None, None), (10, None, 7), (None, 5, 5), (10, 5, 5), (10, 50, 7), (2, None, 0)],
)
def test_usage__what_is_left_is_the_smaller_count(
    limit: int | None, remaining: int | None, left: int | None
) -> None:
    counted = Usage(provider="a", asked_count=3, limit=limit, remaining_count=remaining)
    assert counted.left_count == left


def chain(*members: dict[str, Any]) -> Provider:
    options = {"providers": members}
    return make({"BACKEND": "geocache.providers.chain.ChainProvider", "OPTIONS": options})


def test_chain__at_the_limit_of_one_the_next_answers() -> None:
    answers = {address: {"city": "Here"} for address in ADDRESSES}
    both = chain(dummy(1, name="Paid", answers=answers), dummy(name="Next", answers=answers))
    answered = ask(both, ADDRESSES[:2])
    assert [answered[one].source for one in ADDRESSES[:2]] == ["Paid 1", "Next 1"]
    assert [(one.provider, one.asked_count, one.limit) for one in usages(both)] == [
        ("Paid 1", 1, 1),
        ("Next 1", 1, None),
    ]


def test_usages__of_a_chain_are_those_of_its_metered_providers() -> None:
    inner = {
        "BACKEND": "geocache.providers.chain.ChainProvider",
        "OPTIONS": {"providers": [dummy(name="Inner"), dummy(name="Free", is_metered=False)]},
    }
    names = [one.provider for one in usages(chain(inner, dummy(name="Outer")))]
    assert names == ["Inner 1", "Outer 1"]
