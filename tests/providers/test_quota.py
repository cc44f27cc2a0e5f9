import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from geocache import async_pool
from geocache.cache import backends
from geocache.exceptions import ProviderError
from geocache.location import Location
from geocache.log_throttle import LogThrottle
from geocache.providers import quota
from geocache.providers.base import Provider
from geocache.providers.dummy import DummyProvider
from geocache.providers.factory import make
from geocache.providers.http.base import CONNECTIONS
from geocache.providers.http.json_service import HttpJsonProvider
from geocache.providers.quota import Usage, usages
from tests.support.http_server import Reply, StandIn, serving
from tests.support.processes import wait_until

ADDRESSES = [f"20.0.0.{n}" for n in range(20)]


@pytest.fixture(autouse=True)
def not_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "spent", LogThrottle(seconds=60))
    monkeypatch.setattr(quota, "uncounted", LogThrottle(seconds=60))
    monkeypatch.setattr(quota, "few_left", LogThrottle(seconds=3600))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    class Clock:
        now_is: datetime

        @classmethod
        def now(cls, _: object) -> datetime:
            return cls.now_is

    monkeypatch.setattr(quota, "datetime", Clock)
    return Clock


def dummy(limit: int | None = None, *, name: str = "Dummy", **options: Any) -> dict[str, Any]:
    backend = "geocache.providers.dummy.DummyProvider"
    given = {"name": name, "is_metered": True, "queries_per_day": limit, **options}
    return {"BACKEND": backend, "OPTIONS": given}


def made(limit: int | None = None, **options: Any) -> DummyProvider:
    provider = make(dummy(limit, **options))
    assert isinstance(provider, DummyProvider)
    return provider


def ask(provider: Provider, addresses: Iterable[str]) -> dict[str, Location]:
    answers: dict[str, Location] = {}
    quota.ask(provider, answers, addresses)
    return answers


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


def test_ask__refunds_what_failed() -> None:
    provider = made(2)
    ask(provider, ADDRESSES[:1])
    provider.is_failing = True
    with pytest.raises(ProviderError):
        ask(provider, ADDRESSES[1:3])
    assert (usage(provider).asked_count, usage(provider).is_spent) == (1, False)


@pytest.mark.parametrize("limit", [None, 10_000])
@pytest.mark.parametrize("batch", [None, {"size": 100}])
def test_ask__an_outage_does_not_spend_the_quota(
    limit: int | None, batch: dict[str, Any] | None
) -> None:
    with serving() as gone:
        url = f"http://{gone.host}/{{address}}"
    provider = HttpJsonProvider(
        url=url, fields={"city": "city"}, address="ip", batch=batch and {"url": url, **batch}
    )
    provider.queries_per_day = limit
    for _ in range(3):
        with pytest.raises(ProviderError):
            ask(provider, [f"20.0.{n // 250}.{n % 250}" for n in range(1000)])
    assert usage(provider).asked_count == 0


def test_ask__refunds_what_a_batch_that_was_given_up_did_not_answer() -> None:
    with serving() as service:
        service.by_path = {f"/{address}": here(address) for address in ADDRESSES[:4]}
        service.answer(Reply(status=500))
        provider = a_service(service)
        assert sorted(ask(provider, ADDRESSES)) == ADDRESSES[:4]
    assert usage(provider).asked_count == 4


class Interrupted(BaseException):
    """As KeyboardInterrupt, which would end the test run."""


class Breaking(DummyProvider):
    """Ends the call at the third address."""

    error: BaseException

    def resolve(self, address: str) -> Location:
        if len(self.asked) == 2:
            raise self.error
        return super().resolve(address)


@pytest.mark.parametrize("error", [TypeError("bug"), Interrupted()], ids=repr)
def test_ask__answers_are_there_and_the_rest_is_refunded_whatever_ends_it(
    error: BaseException,
) -> None:
    provider = Breaking(is_metered=True)
    provider.error = error
    answers: dict[str, Location] = {}
    with pytest.raises(type(error)):
        quota.ask(provider, answers, ADDRESSES)
    assert list(answers) == ADDRESSES[:2]
    assert usage(provider).asked_count == 2


def test_ask__refunds_on_the_day_that_was_charged(clock: Any) -> None:
    class Slow(DummyProvider):
        def resolve(self, address: str) -> Location:
            clock.now_is = datetime(2026, 1, 3, tzinfo=UTC)
            raise ProviderError(address)

    provider = Slow(is_metered=True)
    clock.now_is = datetime(2026, 1, 2, 23, 59, tzinfo=UTC)
    with pytest.raises(ProviderError):
        ask(provider, ADDRESSES)
    assert usage(provider).asked_count == 0
    clock.now_is = datetime(2026, 1, 2, 23, 59, tzinfo=UTC)
    assert usage(provider).asked_count == 0


def test_ask__refunds_nothing_to_a_count_that_is_gone() -> None:
    class Emptied(DummyProvider):
        def resolve(self, address: str) -> Location:
            backends.current().delete(quota.count_key(self))
            raise ProviderError(address)

    provider = Emptied(is_metered=True)
    with pytest.raises(ProviderError):
        ask(provider, ADDRESSES)
    assert usage(provider).asked_count == 0


def test_usages__are_never_below_nothing() -> None:
    provider = made()
    backends.current().set(quota.count_key(provider), -3)
    assert usage(provider).asked_count == 0


def test_ask__refunds_nothing_that_was_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    provider, up = made(is_failing=True), backends.current
    ask(made(), ADDRESSES[:5])

    def resolve(_: str) -> Location:
        monkeypatch.setattr(backends, "current", up)
        raise ProviderError("broken")

    monkeypatch.setattr(provider, "resolve", resolve)
    monkeypatch.setattr(backends, "current", Down)
    with pytest.raises(ProviderError):
        ask(provider, ADDRESSES[5:8])
    assert usage(provider).asked_count == 5


def test_ask__many_at_once_refund_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = made()
    resolve = provider.resolve

    def every_other(address: str) -> Location:
        if int(address.rpartition(".")[2]) % 2:
            raise ProviderError("broken")
        return resolve(address)

    monkeypatch.setattr(provider, "resolve", every_other)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ask(provider, ADDRESSES[n : n + 2]), range(0, 20, 2)))
    assert usage(provider).asked_count == len(provider.asked) == 10


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


def test_ask__another_day_has_its_own_count(clock: Any) -> None:
    clock.now_is = datetime(2026, 1, 2, 23, 59, tzinfo=UTC)
    provider = made(2)
    ask(provider, ADDRESSES[:2])
    clock.now_is = datetime(2026, 1, 3, tzinfo=UTC)
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
    assert [(entry["event"], entry["asked"]) for entry in logs] == [("geo_quota_low", 8)]
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(ProviderError):
                ask(provider, ADDRESSES[10:])
    assert [entry["event"] for entry in logs] == ["geo_quota_spent"]


class Down:
    def refuse(self, *_: object, **__: object) -> None:
        raise OSError("down")

    incr = add = set = get = decr = refuse


class HidingErrors:
    """As django-redis with IGNORE_EXCEPTIONS."""

    def incr(self, *_: object, **__: object) -> None:
        pass

    get = add = set = incr


@pytest.mark.parametrize("cache", [Down, HidingErrors])
def test_ask__what_cannot_be_counted_is_not_spent(
    monkeypatch: pytest.MonkeyPatch, cache: type
) -> None:
    limited, free = made(10), made(name="Unlimited")
    monkeypatch.setattr(backends, "current", cache)
    with capture_logs() as logs:
        with pytest.raises(ProviderError):
            ask(limited, ADDRESSES)
        assert len(ask(free, ADDRESSES)) == len(ADDRESSES)
    assert limited.asked == []
    assert [entry["event"] for entry in logs] == ["geo_queries_uncounted"]


# --- a service that wants to be left alone -----------------------------------------------------


def a_service(stand_in: StandIn) -> HttpJsonProvider:
    """Return the provider of another process each time."""
    return HttpJsonProvider(
        url=f"http://{stand_in.host}/{{address}}", fields={"city": "city"}, address="ip"
    )


def here(address: str, **headers: str) -> Reply:
    return Reply(body={"ip": address, "city": "Here"}, headers=headers)


def test_ask__all_processes_leave_a_service_alone_that_wants_it() -> None:
    with serving() as service:
        service.answer(here(ADDRESSES[0], **{"X-Rl": "0", "X-Ttl": "47"}))
        assert ask(a_service(service), ADDRESSES[:1])
        for _ in range(2):
            with pytest.raises(ProviderError, match="left alone"):
                ask(a_service(service), ADDRESSES[1:])
        assert len(service.asked) == 1
    assert usage(a_service(service)) == Usage(
        provider="JSON service", asked_count=1, is_resting=True
    )


def test_ask__a_batch_ends_where_the_service_wants_to_be_left_alone() -> None:
    with serving() as service:
        rest = {"X-Rl": "0", "X-Ttl": "47"}
        service.by_path = {f"/{address}": here(address, **rest) for address in ADDRESSES}
        answers = ask(a_service(service), ADDRESSES)
        assert 1 <= len(answers) == len(service.asked) <= CONNECTIONS
    assert usage(a_service(service)).asked_count == len(answers)


@pytest.mark.slow
def test_ask__a_rest_is_over_when_its_time_is() -> None:
    with serving() as service:
        service.answer(Reply(status=429, headers={"Retry-After": "1"}), here(ADDRESSES[0]))
        with pytest.raises(ProviderError):
            ask(a_service(service), ADDRESSES[:1])
        resting = a_service(service)
        wait_until(lambda: not usage(resting).is_resting)
        assert ask(resting, ADDRESSES[:1])


class Resting(DummyProvider):
    seconds = 0.0

    @property
    def rest_seconds(self) -> float:
        return self.seconds


@pytest.mark.slow
def test_ask__a_shorter_rest_does_not_end_a_longer_one() -> None:
    provider = Resting(is_metered=True)
    for seconds in (1, 600, 1):
        provider.seconds = seconds
        quota.share(provider)
    time.sleep(1.1)
    assert usage(provider).is_resting


def test_ask__without_the_cache_a_process_still_heeds_what_it_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backends, "current", Down)
    with serving() as service:
        service.answer(Reply(status=429, headers={"Retry-After": "47"}))
        provider = a_service(service)
        for _ in range(2):
            with pytest.raises(ProviderError):
                ask(provider, ADDRESSES[:1])
        assert len(service.asked) == 1


def test_chain__the_next_answers_while_a_service_is_left_alone() -> None:
    with serving() as service:
        service.answer(here(ADDRESSES[0], **{"X-Rl": "0", "X-Ttl": "47"}))
        paid = {
            "BACKEND": "geocache.providers.http.json_service.HttpJsonProvider",
            "OPTIONS": {
                "url": f"http://{service.host}/{{address}}",
                "fields": {"city": "city"},
                "address": "ip",
            },
        }
        free = dummy(name="Next", is_metered=False, answers={ADDRESSES[1]: {"city": "There"}})
        assert ask(chain(paid, free), ADDRESSES[:1])[ADDRESSES[0]].city == "Here"
        # As in another process, which has not been told by the service itself.
        assert ask(chain(paid, free), ADDRESSES[1:2])[ADDRESSES[1]].city == "There"
        assert len(service.asked) == 1


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
    assert [(one["event"], one["remaining"]) for one in logs] == [("geo_quota_low", 7)]


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


def test_daily_quotas__count_before_the_option_and_at_once(settings: Any) -> None:
    provider = made(5)
    settings.GEOCACHE = {**settings.GEOCACHE, "DAILY_QUOTAS": {provider.name: 2, "Other": 9}}
    assert len(ask(provider, ADDRESSES[:4])) == 2
    assert (usage(provider).limit, usage(provider).is_spent) == (2, True)
    settings.GEOCACHE = {**settings.GEOCACHE, "DAILY_QUOTAS": {provider.name: 3}}
    assert len(ask(provider, ADDRESSES[4:8])) == 1
    settings.GEOCACHE = {**settings.GEOCACHE, "DAILY_QUOTAS": {}}
    assert len(ask(provider, ADDRESSES[8:])) == 2


def test_daily_quotas__are_the_limit_that_a_warning_names(settings: Any) -> None:
    provider = made(100)
    settings.GEOCACHE = {**settings.GEOCACHE, "DAILY_QUOTAS": {provider.name: 5}}
    with capture_logs() as logs:
        ask(provider, ADDRESSES[:4])
    assert [(one["event"], one["asked"], one["limit"]) for one in logs] == [("geo_quota_low", 4, 5)]


@pytest.mark.parametrize("given", [{"x": -1}, {"x": 1.5}, {"x": True}, {"x": "9"}, {5: 9}])
def test_quota_problem__says_what_is_no_number_of_queries(given: Any) -> None:
    assert quota.quota_problem(given).startswith("DAILY_QUOTAS: ")
    assert quota.quota_problem({"x": 0, "y": 1000}) == ""


# --- in an event loop ----------------------------------------------------------------------------


class Hanging(DummyProvider):
    """Answers about one address, and never about the next."""

    async def aresolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        first, *_ = addresses
        self.asked.append(first)
        answers[first] = self.resolve(first)
        await asyncio.Event().wait()


async def cancelled(asking: Any, is_due: Callable[[], bool]) -> None:
    task = asyncio.create_task(asking)
    async with asyncio.timeout(30):
        while not is_due():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def aask(provider: Provider, addresses: Iterable[str]) -> dict[str, Location]:
    answers: dict[str, Location] = {}
    asyncio.run(quota.aask(provider, answers, addresses))
    return answers


def test_aask__counts_and_stops_at_the_limit_as_ask_does() -> None:
    provider = made(5)
    assert list(aask(provider, ADDRESSES[:3])) == ADDRESSES[:3]
    assert list(aask(provider, ADDRESSES[3:])) == ADDRESSES[3:5]
    assert usage(provider).asked_count == 5
    with pytest.raises(ProviderError, match="nothing is left"):
        aask(provider, ADDRESSES[5:])
    assert provider.asked == ADDRESSES[:5]


def test_aask__a_failure_is_refunded() -> None:
    provider = made(5, is_failing=True)
    with pytest.raises(ProviderError):
        aask(provider, ADDRESSES[:3])
    assert usage(provider).asked_count == 0


def test_aask__nothing_is_asked_of_nobody() -> None:
    assert aask(made(), []) == {}


def test_aask__leaves_a_service_alone_that_wants_it() -> None:
    with serving() as service:
        service.answer(here(ADDRESSES[0], **{"X-Rl": "0", "X-Ttl": "47"}))
        assert aask(a_service(service), ADDRESSES[:1])
        with pytest.raises(ProviderError, match="left alone"):
            aask(a_service(service), ADDRESSES[1:])
        assert len(service.asked) == 1


def test_aask__cancelled_it_counts_what_was_answered() -> None:
    provider, answers = Hanging(is_metered=True), dict[str, Location]()
    asking = quota.aask(provider, answers, ADDRESSES)
    asyncio.run(cancelled(asking, lambda: bool(answers)))
    assert list(answers) == ADDRESSES[:1]
    assert usage(provider).asked_count == 1


def test_aask__cancelled_while_it_counts_nothing_stays_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider, counting = made(), threading.Event()
    incr = backends.incr

    def slow(*given: Any) -> int:
        counting.set()
        time.sleep(0.1)
        return incr(*given)

    monkeypatch.setattr(backends, "incr", slow)
    # Not in the one thread that a run of tests has, where one job waits for the other.
    monkeypatch.setattr(async_pool, "is_used", lambda: True)
    asyncio.run(cancelled(quota.aask(provider, {}, ADDRESSES), counting.is_set))
    assert usage(provider).asked_count == 0
    assert provider.asked == []


def test_aask__several_calls_are_counted_in_one_trip_and_stop_at_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider = made(queries_per_day=5)
    waiting: list[Any] = []
    counted: list[int] = []
    incr = backends.incr

    def watched(backend: Any, key: str, count: int) -> int:
        counted.append(count)
        return incr(backend, key, count)

    async def together(function: Any, item: Any) -> None:
        waiting.append(item)
        await asyncio.sleep(0)
        if waiting:
            function(list(waiting))
            waiting.clear()

    async def main() -> list[Any]:
        answers: list[dict[str, Location]] = [{} for _ in range(3)]
        calls = [
            quota.aask(provider, given, ADDRESSES[2 * n : 2 * n + 2], together=together)
            for n, given in enumerate(answers)
        ]
        return [*await asyncio.gather(*calls), *map(len, answers)]

    monkeypatch.setattr(backends, "incr", watched)
    assert asyncio.run(main())[3:] == [2, 2, 1]
    # More than once only as the first of a day is tried twice.
    assert set(counted) == {6}
    assert usage(provider).asked_count == 5
