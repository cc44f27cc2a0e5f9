"""Services that are asked in an event loop; what one answer says is tested for each provider."""

import asyncio
import gc
import os
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from geocache.exceptions import ProviderError
from geocache.providers import quota
from geocache.providers.http.base import CONNECTIONS, FAILURES_IN_A_ROW, MANY
from geocache.providers.http.json_service import HttpJsonProvider
from tests.support.http_server import Reply, serving
from tests.support.processes import wait_until

TOKEN = "hunter2/token"
ADDRESSES = [f"20.0.{n}.1" for n in range(200)]


@pytest.fixture
def service():
    with serving() as stand_in:
        stand_in.by_path = {
            f"/{address}?key=hunter2%2Ftoken": Reply(body={"ip": address, "city": f"at {address}"})
            for address in ADDRESSES
        }
        yield stand_in


def a_provider(stand_in, **options):
    given = {
        "name": "Test service",
        "url": f"http://{stand_in.host}/{{address}}?key={{token}}",
        "token": TOKEN,
        "headers": {"X-Key": "key={token}"},
        "fields": {"city": "city"},
        "address": "ip",
        "timeout_seconds": 60,
    }
    return HttpJsonProvider(**given | options)


async def ask(provider, *addresses):
    answers = {}
    await provider.aresolve_into(answers, addresses)
    return answers


async def ask_each(provider, addresses):
    """Ask about each in a call of its own, all of them at once."""
    return await asyncio.gather(*(ask(provider, one) for one in addresses), return_exceptions=True)


def watching(service, together=1):
    """Answer no query before so many have come; return how many were asking at once."""
    barrier, lock, now, most = threading.Barrier(together), threading.Lock(), [], []
    answer = service.next_reply

    def reply(asked):
        with lock:
            now.append(asked)
            most.append(len(now))
        barrier.wait(timeout=60)
        with lock:
            now.remove(asked)
        return answer(asked)

    service.next_reply = reply
    return most


def sockets():
    """How many sockets this process has open."""
    return sum(link.is_socket() for link in Path("/proc/self/fd").iterdir())


# --- how many at once ----------------------------------------------------------------------------


def test_aresolve_into__as_many_callers_as_there_are_are_answered_together(service):
    watching(service, together=len(ADDRESSES))
    answers = asyncio.run(ask_each(a_provider(service), ADDRESSES))
    assert [one[address].city for one, address in zip(answers, ADDRESSES, strict=True)] == [
        f"at {address}" for address in ADDRESSES
    ]


def test_aresolve_into__no_more_at_once_than_the_setting_allows(service):
    most = watching(service, together=3)
    provider = a_provider(service)
    provider.queries_at_once = 3
    answers = asyncio.run(ask_each(provider, ADDRESSES[:12]))
    assert len([one for one in answers if isinstance(one, dict)]) == 12
    assert max(most) == 3


@pytest.mark.parametrize("is_asynchronous", [True, False])
def test_resolve_into__of_one_batch_as_many_at_once_as_there_are_connections(
    service, is_asynchronous
):
    most = watching(service, together=CONNECTIONS)
    provider, batch = a_provider(service), ADDRESSES[: 3 * CONNECTIONS]
    answers = (
        asyncio.run(ask(provider, *batch)) if is_asynchronous else provider.resolve_many(batch)
    )
    assert {address: one.city for address, one in answers.items()} == {
        address: f"at {address}" for address in batch
    }
    assert max(most) == CONNECTIONS


def test_time_limit__is_that_of_the_requests_one_after_the_other(service):
    provider = a_provider(service, timeout_seconds=3)
    limits = {count: provider.time_limit_seconds(count) for count in (1, MANY - 1, MANY, 8, 40)}
    assert limits == {1: 6, MANY - 1: 24, MANY: 6, 8: 6, 40: 30}


@pytest.mark.slow
def test_aresolve_into__the_time_out_begins_when_the_query_is_sent(service):
    answer = service.next_reply

    def reply(asked):
        time.sleep(1.2)
        return answer(asked)

    service.next_reply = reply
    provider = a_provider(service, timeout_seconds=2)
    provider.queries_at_once = 1
    answers = asyncio.run(ask_each(provider, ADDRESSES[:2]))
    assert [list(one) for one in answers] == [[ADDRESSES[0]], [ADDRESSES[1]]]


def test_aresolve_into__does_not_wait_for_others_beyond_its_time_out(service):
    provider = a_provider(service, timeout_seconds=0.01)
    provider.queries_at_once = 1

    async def ask_beside_another():
        async with provider.slot():
            await ask(provider, ADDRESSES[0])

    with pytest.raises(ProviderError, match="ASYNC_QUERIES"):
        asyncio.run(ask_beside_another())
    assert service.asked == []


# --- failures ------------------------------------------------------------------------------------


def test_aresolve_into__asks_exactly_what_resolve_asks(service):
    provider = a_provider(service)
    provider.resolve(ADDRESSES[0])
    asyncio.run(ask(provider, ADDRESSES[0]))
    first, second = service.asked
    assert (first.method, first.path, first.body) == (second.method, second.path, second.body)
    for name in ("Accept", "Host", "X-Key"):
        assert first.headers[name] == second.headers[name]


def test_aresolve_into__gives_a_batch_up_after_failures_in_a_row(service):
    service.by_path = {}
    service.answer(Reply(status=500))
    with pytest.raises(ProviderError, match="status 500"):
        asyncio.run(ask(a_provider(service), *ADDRESSES))
    assert len(service.asked) < FAILURES_IN_A_ROW + CONNECTIONS


def test_aresolve_into__who_is_told_to_wait_speaks_for_all(service):
    service.by_path = {}
    service.answer(Reply(status=429, headers={"Retry-After": "30"}))
    provider = a_provider(service)

    async def ask_and_ask_again():
        await ask_each(provider, ADDRESSES[:1])
        return await ask_each(provider, ADDRESSES)

    assert all("left alone" in str(one) for one in asyncio.run(ask_and_ask_again()))
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(zeros=2**22), "sends more than any answer"),
        (Reply(status=302, headers={"Location": "/elsewhere"}), "redirects"),
        (Reply(body=b"{", is_cut=True), "broke off"),
        (Reply(body=b"no json"), "cannot be read"),
        (Reply(status=401), "refuses the account or the key"),
        (Reply(is_silent=True), "did not answer in time"),
        (Reply(is_dripping=True), "did not answer in time"),
    ],
    ids=repr,
)
def test_aresolve_into__a_fault_is_told_without_a_secret(service, reply, words):
    service.by_path = {}
    service.answer(reply)
    provider = a_provider(service, timeout_seconds=0.3 if "in time" in words else 10)
    with capture_logs() as logs, pytest.raises(ProviderError, match=words) as caught:
        asyncio.run(ask(provider, ADDRESSES[0]))
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(logs)
    assert "hunter2" not in shown
    assert len(service.asked) == 1


def test_aresolve_into__a_service_that_is_gone_is_told_without_a_secret():
    with serving() as gone:
        provider = a_provider(gone)
    with pytest.raises(ProviderError, match="cannot be reached") as caught:
        asyncio.run(ask(provider, ADDRESSES[0]))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_aresolve_into__what_cannot_be_asked_as_it_is_set_up_is_told(service):
    for options in ({"token": ""}, {"url": "http://[/{address}"}):
        provider = a_provider(service, **options)
        for addresses in (ADDRESSES[:1], ADDRESSES[:MANY]):
            with pytest.raises(ProviderError):
                asyncio.run(ask(provider, *addresses))
            with pytest.raises(ProviderError):
                provider.resolve_many(addresses)
    assert service.asked == []


def test_aresolve_into__sends_no_password_of_the_url_or_of_netrc(service, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text(f"machine {service.host.partition(':')[0]} login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    url = f"http://ann:hunter2@{service.host}/{{address}}?key={{token}}"
    provider = a_provider(service, url=url)
    asyncio.run(ask(provider, ADDRESSES[0]))
    provider.resolve(ADDRESSES[0])
    assert ["Authorization" in asked.headers for asked in service.asked] == [False, False]


def test_aresolve_into__through_the_proxy_of_the_environment(service, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", service.host)
    service.answer(Reply(status=502))
    provider = HttpJsonProvider(url="http://a.invalid/{address}", fields={"city": "city"})
    with pytest.raises(ProviderError, match="502"):
        asyncio.run(ask(provider, ADDRESSES[0]))
    assert service.paths() == [f"http://a.invalid/{ADDRESSES[0]}"]


def test_aresolve_into__through_a_proxy_that_no_event_loop_can_use(service, monkeypatch):
    """In threads: ``requests`` may have been taught to ask through it."""
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:9")
    provider = a_provider(service)
    monkeypatch.setattr(provider, "make_async_client", None)
    with pytest.raises(ProviderError, match="as it is set up"):
        asyncio.run(ask(provider, *ADDRESSES[:MANY]))
    assert provider.time_limit_seconds(MANY) == MANY * provider.time_limit_seconds(1)


# --- event loops ---------------------------------------------------------------------------------


def test_event_loop__its_connections_are_used_again_and_closed_at_its_end(service):
    provider = a_provider(service)
    open_during = []
    watched = service.next_reply

    def reply(asked):
        open_during.append(sockets())
        return watched(asked)

    service.next_reply = reply

    async def ask_twice():
        await ask(provider, ADDRESSES[0])
        await ask(provider, ADDRESSES[1])

    open_before = sockets()
    for _ in range(3):
        asyncio.run(ask_twice())
        # Two of the loop itself, the connection, and its other end, which is in this process, too.
        assert open_during[-2:] == [open_before + 4, open_before + 4]
        gc.collect()
        wait_until(lambda: sockets() == open_before)


def test_event_loop__two_in_two_threads_have_connections_of_their_own(service):
    watching(service, together=2)
    provider = a_provider(service)

    def of_a_thread(address):
        return asyncio.run(ask_each(provider, [address, address]))

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(of_a_thread, ADDRESSES[:2]))
    assert [[list(one) for one in each] for each in found] == [[[one]] * 2 for one in ADDRESSES[:2]]


def test_event_loop__a_provider_that_is_dropped_closes_its_connections(service):
    async def ask_and_drop():
        provider = a_provider(service)
        before = sockets()
        await ask(provider, ADDRESSES[0])
        during = sockets()
        del provider
        gc.collect()
        async with asyncio.timeout(10):
            while sockets() > before:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
        return during - before

    assert asyncio.run(ask_and_drop()) == 2


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
def test_event_loop__one_that_is_closed_before_its_end_leaves_nothing_either(service):
    """Not by ``asyncio.run``, and without ``shutdown_asyncgens``."""
    provider = a_provider(service)
    before = sockets()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(ask(provider, ADDRESSES[0]))
    loop.close()
    asyncio.run(ask(provider, ADDRESSES[1]))
    del loop
    gc.collect()
    wait_until(lambda: sockets() == before)


def test_event_loop__a_fork_has_connections_of_its_own(service, monkeypatch):
    provider = a_provider(service)

    async def clients():
        async with provider.slot() as before, provider.slot() as again:
            pass
        monkeypatch.setattr(os, "getpid", lambda: -1)
        async with provider.slot() as after:
            pass
        return [client is before for client in (again, after)]

    assert asyncio.run(clients()) == [True, False]


# --- cancellation --------------------------------------------------------------------------------


def test_cancellation__keeps_what_was_answered_and_refunds_the_rest(service):
    provider = a_provider(service)
    silent = {f"/{one}?key=hunter2%2Ftoken": Reply(is_silent=True) for one in ADDRESSES[2:10]}
    service.by_path = {**service.by_path, **silent}
    answers = {}

    async def ask_and_cancel():
        asking = asyncio.create_task(quota.aask(provider, answers, ADDRESSES[:10]))
        async with asyncio.timeout(30):
            while len(answers) < 2:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(ask_and_cancel())
    assert sorted(answers) == ADDRESSES[:2]
    assert quota.usages(provider)[0].asked_count == 2


def test_cancellation__a_bug_ends_the_whole_batch(service, monkeypatch):
    provider = a_provider(service)
    asked = []

    async def broken(_, address):
        asked.append(address)
        if len(asked) == CONNECTIONS:
            raise RuntimeError("bug")
        await asyncio.Event().wait()

    monkeypatch.setattr(provider, "aresolve", broken)

    async def ask_and_look():
        with pytest.raises(RuntimeError, match="bug"):
            await ask(provider, *ADDRESSES)
        return len(asyncio.all_tasks())

    assert asyncio.run(ask_and_look()) == 1


# --- a batch endpoint ----------------------------------------------------------------------------


def batched(service, size):
    batch = {"url": f"http://{service.host}/many", "size": size}
    return a_provider(service, batch=batch)


def records(addresses):
    return Reply(body=[{"ip": one, "city": f"at {one}"} for one in addresses])


def test_aresolve_into__a_batch_endpoint_is_asked_for_many(service):
    service.answer(records(ADDRESSES[:3]), records(ADDRESSES[3:5]))
    answers = asyncio.run(ask(batched(service, 3), *ADDRESSES[:5]))
    assert [one.city for one in answers.values()] == [f"at {one}" for one in ADDRESSES[:5]]
    assert [(one.method, one.path, one.body) for one in service.asked] == [
        ("POST", "/many", ADDRESSES[:3]),
        ("POST", "/many", ADDRESSES[3:5]),
    ]


def test_aresolve_into__a_batch_that_fails_ends_it_and_leaves_those_before_it(service):
    service.answer(records(ADDRESSES[:2]), replace(records([]), status=500))
    answers = asyncio.run(ask(batched(service, 2), *ADDRESSES[:6]))
    assert list(answers) == ADDRESSES[:2]
    assert len(service.asked) == 2


def test_aresolve_into__a_first_batch_that_fails_is_told(service):
    service.answer(Reply(status=500))
    with pytest.raises(ProviderError, match="status 500"):
        asyncio.run(ask(batched(service, 2), *ADDRESSES[:6]))
    assert len(service.asked) == 1
