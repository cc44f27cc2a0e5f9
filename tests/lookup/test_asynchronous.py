import asyncio
import gc
import json
import threading
import weakref
from contextvars import ContextVar
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db.backends.signals import connection_created
from django.http import HttpResponse
from django.template import Context, Template

from geocache import async_pool
from geocache.exceptions import InvalidAddress, ProviderError
from geocache.journal.flush import flush_dirty
from geocache.location import NOT_FOUND, UNAVAILABLE
from geocache.lookup import alookup, alookup_many, hot_entries, lookup, lookup_many
from geocache.lookup.memory import memory
from geocache.lookup.single_flight import SingleFlight
from geocache.middleware import GeoMiddleware
from geocache.models import GeoCache
from geocache.providers import factory, quota
from geocache.signals import location_recorded
from tests.factories import LONDON, MOSCOW_V6, a_location, a_row
from tests.support.metered_provider import asked, configured, use_tallying_provider
from tests.support.processes import start_script

pytestmark = [pytest.mark.cache_decides, pytest.mark.django_db(transaction=True)]

NEIGHBOUR = "81.2.69.7"
WHO: ContextVar[str] = ContextVar("who", default="nobody")


@pytest.fixture(autouse=True)
def in_production(monkeypatch):
    monkeypatch.setattr(async_pool, "is_used", lambda: True)


@pytest.fixture
def tally(tmp_path):
    return tmp_path / "tally"


@pytest.fixture
def dummy(settings):
    answers = {LONDON: {"city": "London"}, MOSCOW_V6: {"city": "Moscow"}}
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "PROVIDER": {
            "BACKEND": "geocache.providers.dummy.DummyProvider",
            "OPTIONS": {"answers": answers},
        },
    }
    return factory.current()


class Service:
    """A provider that is asked in the event loop: its answers come when the test says so."""

    def __init__(self, provider, monkeypatch):
        self.queries = []
        self.may_answer = None
        self._provider = provider
        monkeypatch.setattr(provider, "aresolve_into", self.answer)

    async def answer(self, answers, addresses):
        self.queries.append(list(addresses))
        if self.may_answer is None:
            self.may_answer = asyncio.Event()
        await self.may_answer.wait()
        for address in addresses:
            answers[address] = self._provider.resolve(address)

    async def asked(self, count=1):
        """Wait until there are so many queries."""
        while len(self.queries) < count:  # noqa: ASYNC110 - the event is another task's step
            await asyncio.sleep(0.001)


@pytest.fixture
def service(settings, tally, monkeypatch):
    return Service(use_tallying_provider(settings, tally), monkeypatch)


async def gathered(*addresses):
    return await asyncio.gather(*map(alookup, addresses))


# --- a provider that costs nothing ---------------------------------------------------------------


def test_alookup__answers_as_lookup_does(dummy):
    async def main():
        first = await alookup(LONDON)
        assert await alookup(LONDON) is first
        found = await gathered(MOSCOW_V6, "9.9.9.9", "10.0.0.1", f" {LONDON} ")
        with pytest.raises(InvalidAddress):
            await alookup("nonsense")
        with pytest.raises(InvalidAddress):
            await alookup([])
        return [first, *found]

    answers = asyncio.run(main())
    assert [one.city for one in answers] == ["London", "Moscow", "", "", "London"]
    assert [one.reason for one in answers] == ["", "", NOT_FOUND, "private", ""]
    memory.clear()
    assert [lookup(one.address) for one in answers if one.reason != "private"] == [
        one for one in answers if one.reason != "private"
    ]
    assert flush_dirty().flushed == 3
    assert len(dummy.asked) == 3


@pytest.mark.usefixtures("dummy")
def test_alookup__what_is_known_or_special_takes_no_thread(monkeypatch):
    lookup(LONDON)
    monkeypatch.setattr(async_pool, "submit", None)
    assert asyncio.run(alookup(LONDON)).city == "London"
    assert asyncio.run(alookup("10.0.0.1")).reason == "private"


@pytest.mark.usefixtures("dummy")
def test_alookup__those_of_one_turn_are_one_batch(monkeypatch):
    batches = []
    get_many = hot_entries.get_many

    def watched(build, addresses):
        batches.append(list(addresses))
        return get_many(build, addresses)

    monkeypatch.setattr(hot_entries, "get_many", watched)
    asked_for = [f"20.0.0.{n}" for n in range(100)]
    assert len(asyncio.run(gathered(*asked_for, *asked_for))) == 200
    assert batches == [asked_for]


def test_alookup__a_bug_in_one_answer_breaks_no_other(dummy, monkeypatch):
    resolve = dummy.resolve

    def broken(address):
        if address == "20.0.0.1":
            raise TypeError("bug")
        return resolve(address)

    async def main():
        return await asyncio.gather(
            *map(alookup, [LONDON, "20.0.0.1", MOSCOW_V6]), return_exceptions=True
        )

    monkeypatch.setattr(dummy, "resolve", broken)
    london, bug, moscow = asyncio.run(main())
    assert (london.city, moscow.city) == ("London", "Moscow")
    assert isinstance(bug, TypeError)


@pytest.mark.usefixtures("dummy")
def test_alookup__does_not_wait_for_the_thread_of_django():
    is_over = threading.Event()

    async def main():
        blocked = asyncio.ensure_future(sync_to_async(is_over.wait)(20))
        await asyncio.sleep(0.01)
        try:
            return await asyncio.wait_for(alookup(LONDON), 15)
        finally:
            is_over.set()
            await blocked

    assert asyncio.run(main()).city == "London"


@pytest.mark.usefixtures("dummy")
def test_alookup__leaves_the_context_of_its_caller_alone():
    async def main():
        WHO.set("ann")
        await alookup(LONDON)
        return WHO.get()

    assert asyncio.run(main()) == "ann"


@pytest.mark.usefixtures("dummy")
def test_alookup__several_loops_in_several_threads():
    found = []

    def work(family):
        found.extend(asyncio.run(gathered(*(f"20.{family}.0.{n}" for n in range(50)))))

    threads = [threading.Thread(target=work, args=(family,)) for family in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len({one.address for one in found}) == 200
    assert flush_dirty().flushed == 200


@pytest.mark.usefixtures("dummy")
def test_alookup__a_loop_that_is_closed_is_forgotten():
    async def main():
        await gathered(LONDON, MOSCOW_V6)
        left = asyncio.ensure_future(alookup("20.0.0.1"))
        await asyncio.sleep(0)
        assert not left.done()
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(main())
    assert asyncio.run(alookup("20.0.0.2")).reason == NOT_FOUND
    gc.collect()
    assert loop() is None


def test_alookup__has_as_many_threads_and_connections_as_the_setting(settings, tally):
    use_tallying_provider(settings, tally, seconds=0.001, prefix_length=32)
    connected = []

    def note(**_):
        connected.append(threading.get_ident())

    before = set(threading.enumerate())
    connection_created.connect(note)
    try:
        found = asyncio.run(gathered(*(f"20.{n // 250}.{n % 250}.1" for n in range(1000))))
    finally:
        connection_created.disconnect(note)
    mine = {one.ident for one in set(threading.enumerate()) - before}
    assert len(found) == len(asked(tally)) == 1000
    assert len(mine) <= 8
    assert set(connected) <= mine | {threading.get_ident()}


@pytest.mark.usefixtures("dummy")
@pytest.mark.parametrize("look_up", [alookup, lambda one: alookup_many([one])])
def test_alookup__receivers_may_look_up(settings, look_up):
    settings.GEOCACHE = {**settings.GEOCACHE, "ASYNC_THREADS": 1}
    heard, loops = [], []

    async def receiver(locations, **_):
        heard.append(list(locations))
        loops.append(asyncio.get_running_loop())
        await alookup(MOSCOW_V6)

    async def main():
        await asyncio.wait_for(look_up(LONDON), 20)
        return asyncio.get_running_loop()

    location_recorded.connect(receiver)
    try:
        loop = asyncio.run(main())
    finally:
        location_recorded.disconnect(receiver)
    assert heard == [[LONDON], [MOSCOW_V6]]
    assert loops == [loop, loop]


# --- a provider that is paid ---------------------------------------------------------------------


def test_alookup__two_hundred_wait_together(service, tally):
    addresses = [f"20.0.{n}.1" for n in range(200)]

    async def main():
        answers = asyncio.ensure_future(gathered(*addresses))
        await service.asked(200)
        service.may_answer.set()
        return await answers

    answers = asyncio.run(main())
    assert [one.address for one in answers] == addresses
    assert sorted(asked(tally)) == sorted(addresses)
    assert flush_dirty().flushed == 200


def test_alookup__neighbours_are_paid_for_once(service, tally):
    async def main():
        first = asyncio.ensure_future(gathered(LONDON, NEIGHBOUR))
        await service.asked()
        later = asyncio.ensure_future(gathered("81.2.69.8", LONDON))
        await asyncio.sleep(0.05)
        service.may_answer.set()
        return [*await first, *await later]

    answers = asyncio.run(main())
    assert {one.city for one in answers} == {"81.2.69.0/24"}
    assert asked(tally) == [LONDON]


def test_alookup__waits_for_the_query_of_another_process(service):
    build = factory.current().build()

    async def main():
        other = SingleFlight(build, factory.current())
        other.acquire({LONDON: ip_address(LONDON)})
        answer = asyncio.ensure_future(alookup(NEIGHBOUR))
        await asyncio.sleep(0.05)
        found = a_location(LONDON, network="81.2.69.0/24", city="Found")
        hot_entries.set_many(build, [found], with_networks=True)
        return await answer

    assert asyncio.run(main()).city == "Found"
    assert service.queries == []


ASKING = """
import asyncio, json, sys
from django.conf import settings
settings.GEOCACHE = {{**settings.GEOCACHE, "PROVIDER": {provider}}}
from geocache import async_pool
from geocache.lookup import alookup
async_pool.is_used = lambda: True
async def main():
    return await asyncio.gather(*map(alookup, {addresses}))
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps([one.city for one in asyncio.run(main())]), flush=True)
"""


@pytest.mark.slow
def test_alookup__two_processes_that_miss_at_once_make_one_call(tally):
    script = ASKING.format(provider=configured(tally, seconds=0.5), addresses=[LONDON, NEIGHBOUR])
    crew = [start_script(script) for _ in range(2)]
    for process in crew:
        assert process.stdout.readline() == "ready\n"
    for process in crew:
        process.stdin.write("now\n")
        process.stdin.flush()
    said = [json.loads(process.communicate(timeout=60)[0]) for process in crew]
    assert said == [["81.2.69.0/24"] * 2] * 2
    assert asked(tally) == [LONDON]


def test_alookup__a_failure_is_of_one_block_and_an_old_row_beats_nothing(
    settings, tally, monkeypatch
):
    provider = use_tallying_provider(settings, tally)
    a_row("30.0.0.1", city="Old", network="")
    resolve = provider.resolve

    def failing(address):
        if not address.startswith("81."):
            raise ProviderError("broken")
        return resolve(address)

    monkeypatch.setattr(provider, "resolve", failing)
    monkeypatch.setattr(GeoCache.objects, "fresh", lambda **_: GeoCache.objects.none())
    london, unavailable, old = asyncio.run(gathered(LONDON, "20.0.0.1", "30.0.0.1"))
    assert london.city == "81.2.69.0/24"
    assert unavailable.reason == UNAVAILABLE
    assert (old.city, old.is_stale) == ("Old", True)
    assert [one.asked_count for one in quota.usages(provider)] == [1]


def test_alookup__a_batch_endpoint_is_asked_once(settings, tally, monkeypatch):
    provider = use_tallying_provider(settings, tally)
    monkeypatch.setattr(provider, "has_batch_endpoint", True)
    service = Service(provider, monkeypatch)
    addresses = [f"20.0.{n}.1" for n in range(4)]

    async def main():
        answers = asyncio.ensure_future(gathered(*addresses))
        await service.asked()
        service.may_answer.set()
        return await answers

    assert len(asyncio.run(main())) == 4
    assert service.queries == [addresses]


def test_alookup_many__asks_once_a_network_without_a_thread(service, tally):
    addresses = [f"20.0.{n % 4}.{n}" for n in range(40)]

    async def main():
        answers = asyncio.ensure_future(alookup_many([*addresses, "10.0.0.1"]))
        await service.asked()
        service.may_answer.set()
        return await answers

    answers = asyncio.run(main())
    assert list(answers) == [*addresses, "10.0.0.1"]
    assert len(asked(tally)) == 4


def test_alookup_many__nothing_is_paid_for_when_one_is_not_an_address(service):
    with pytest.raises(InvalidAddress):
        asyncio.run(alookup_many([LONDON, "nonsense"]))
    assert service.queries == []


# --- cancellation --------------------------------------------------------------------------------


def test_alookup__a_caller_that_is_cancelled_cancels_no_other(service, tally):
    async def main():
        first = asyncio.ensure_future(alookup(LONDON))
        second = asyncio.ensure_future(alookup(LONDON))
        await service.asked()
        first.cancel()
        await asyncio.sleep(0.01)
        service.may_answer.set()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(main()).city == "81.2.69.0/24"
    assert asked(tally) == [LONDON]


def test_alookup__what_is_paid_for_is_journaled_when_nobody_waits_any_more(service, tally):
    async def main():
        caller = asyncio.ensure_future(alookup(LONDON))
        await service.asked()
        caller.cancel()
        await asyncio.sleep(0)
        service.may_answer.set()
        return await alookup(LONDON)

    assert asyncio.run(main()).city == "81.2.69.0/24"
    assert flush_dirty().flushed == 1
    assert asked(tally) == [LONDON]


@pytest.mark.parametrize("pauses", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55])
@pytest.mark.parametrize("is_many", [False, True])
def test_alookup__cancelled_anywhere_leaves_no_lock_and_loses_no_answer(
    settings, tally, pauses, is_many
):
    """The end of a loop, which cancels each task wherever it waits."""
    use_tallying_provider(settings, tally, seconds=0.01)

    async def main():
        look_up = alookup_many([LONDON]) if is_many else alookup(LONDON)
        caller = asyncio.ensure_future(look_up)
        for _ in range(pauses):
            await asyncio.sleep(0.0005)
        return caller

    asyncio.run(main())
    build = factory.current().build()
    assert SingleFlight(build, factory.current()).acquire({LONDON: ip_address(LONDON)})
    assert flush_dirty().flushed == len(asked(tally))
    assert [one.asked_count for one in quota.usages(factory.current())] == [len(asked(tally))]


def test_alookup__receivers_hear_of_an_answer_nobody_waits_for(service):
    heard = []

    def receiver(locations, **_):
        heard.extend(locations)

    async def main():
        caller = asyncio.ensure_future(alookup(LONDON))
        await service.asked()
        caller.cancel()
        service.may_answer.set()
        for _ in range(400):
            await asyncio.sleep(0.005)
            if heard:
                break

    location_recorded.connect(receiver)
    try:
        asyncio.run(main())
    finally:
        location_recorded.disconnect(receiver)
    assert heard == [LONDON]


# --- a caller that blocks its loop ---------------------------------------------------------------


def in_loop(work):
    async def main():
        return work()

    return asyncio.run(main())


@pytest.mark.parametrize(
    "template",
    [
        "{{ request.geo.city }}",
        "{% load geo %}{% geo request.META.REMOTE_ADDR as here %}{{ here.city }}",
    ],
)
def test_request_geo__a_template_of_an_async_view_may_read_it(rf, settings, tally, template):
    use_tallying_provider(settings, tally)
    request = rf.get("/", REMOTE_ADDR=LONDON)
    GeoMiddleware(lambda _: HttpResponse())(request)
    shown = in_loop(lambda: Template(template).render(Context({"request": request})))
    assert shown == "81.2.69.0/24"


def test_request_geo__needs_no_thread_of_django(rf, settings, tally):
    """As in a view that an ASGI server runs while other code of the site has Django's thread."""
    use_tallying_provider(settings, tally)
    request = rf.get("/", REMOTE_ADDR=LONDON)
    GeoMiddleware(lambda _: HttpResponse())(request)
    is_over = threading.Event()

    async def main():
        blocked = asyncio.ensure_future(sync_to_async(is_over.wait)(20))
        await asyncio.sleep(0.01)
        try:
            return request.geo.city
        finally:
            is_over.set()
            await blocked

    assert asyncio.run(main()) == "81.2.69.0/24"


def test_lookup__answers_in_a_loop(settings, tally):
    use_tallying_provider(settings, tally)
    assert in_loop(lambda: lookup(LONDON)).city == "81.2.69.0/24"
    assert list(in_loop(lambda: lookup_many(["20.0.0.1", LONDON]))) == ["20.0.0.1", LONDON]


# --- in a run of tests ---------------------------------------------------------------------------


@pytest.mark.django_db(transaction=False)
def test_alookup__in_a_test_sees_its_transaction(settings, tally, monkeypatch):
    monkeypatch.setattr(async_pool, "is_used", lambda: False)
    use_tallying_provider(settings, tally)
    a_row(LONDON, city="Row", resolved_at=datetime.now(UTC))
    assert async_to_sync(alookup)(LONDON).city == "Row"
