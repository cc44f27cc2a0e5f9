import asyncio
import os
import threading
import time
from contextvars import ContextVar

import pytest
from asgiref.local import Local
from asgiref.sync import async_to_sync, sync_to_async
from django.db import InterfaceError, connection, connections

from geocache import async_pool, under_test
from geocache.async_pool import run_in_pool
from geocache.models import GeoCache

WHO: ContextVar[str] = ContextVar("who", default="nobody")
TENANT = Local()


@pytest.fixture(autouse=True)
def in_production(monkeypatch):
    monkeypatch.setattr(under_test, "is_this_process", lambda: False)


def test_run_in_pool__a_job_runs_to_its_end_when_its_caller_is_cancelled():
    begun, may_end, ended = threading.Event(), threading.Event(), []

    def job():
        begun.set()
        may_end.wait(20)
        ended.append(True)

    async def ask():
        caller = asyncio.ensure_future(run_in_pool(job))
        await asyncio.to_thread(begun.wait, 20)
        caller.cancel()
        await asyncio.sleep(0)
        caller.cancel()
        threading.Timer(0.05, may_end.set).start()
        with pytest.raises(asyncio.CancelledError):
            await caller
        return list(ended)

    assert asyncio.run(ask()) == [True]


def test_run_in_pool__raises_what_no_future_takes():
    async def ask():
        # As ``next`` raises it in a provider of a host.
        return await asyncio.wait_for(run_in_pool(next, iter(())), 5)

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(ask())


def test_run_in_pool__a_job_runs_to_its_end_when_the_loop_ends():
    ended = []

    def job():
        time.sleep(0.05)
        ended.append(True)

    async def leave():
        left = asyncio.ensure_future(run_in_pool(job))
        await asyncio.sleep(0)
        return left

    asyncio.run(leave())
    assert ended == [True]


def gathered(function, count):
    async def ask():
        return await asyncio.gather(*(run_in_pool(function) for _ in range(count)))

    return asyncio.run(ask())


def test_run_in_pool__passes_arguments_and_gives_back_the_result():
    assert asyncio.run(run_in_pool(int, "ff", base=16)) == 255


def test_run_in_pool__raises_what_the_function_raises():
    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(run_in_pool(int, "x"))


def test_run_in_pool__has_as_many_threads_as_the_setting(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "ASYNC_THREADS": 3}
    meeting = threading.Barrier(3)
    names = gathered(lambda: (meeting.wait(20), threading.current_thread().name)[1], 3)
    more = gathered(lambda: threading.current_thread().name, 200)
    assert len(set(names)) == 3
    assert set(more) <= set(names)


def test_run_in_pool__does_not_wait_for_the_thread_of_django():
    is_over = threading.Event()

    async def ask():
        blocked = asyncio.ensure_future(sync_to_async(is_over.wait)(20))
        await asyncio.sleep(0.01)
        try:
            return await asyncio.wait_for(run_in_pool(lambda: "answered"), 10)
        finally:
            is_over.set()
            await blocked

    assert asyncio.run(ask()) == "answered"


def test_run_in_pool__sees_the_context_of_its_caller():
    async def ask():
        WHO.set("ann")
        TENANT.name = "north"
        return await run_in_pool(lambda: (WHO.get(), getattr(TENANT, "name", "of the thread")))

    assert asyncio.run(ask()) == ("ann", "of the thread")


def test_run_in_pool__leaves_nothing_of_a_caller_to_the_next(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "ASYNC_THREADS": 1}

    async def ask():
        WHO.set("ann")
        return await run_in_pool(WHO.set, "bob")

    asyncio.run(ask())
    assert asyncio.run(run_in_pool(WHO.get)) == "nobody"


@pytest.mark.django_db(transaction=True)
def test_run_in_pool__closes_the_connection_of_its_thread():
    def job():
        GeoCache.objects.exists()
        return connection.connection is not None

    def held():
        return [one.connection for one in connections.all(initialized_only=True)]

    assert gathered(job, 20) == [True] * 20
    assert all(found == [None] * len(found) for found in gathered(held, 20))


def test_run_in_pool__a_connection_that_cannot_be_closed_does_not_lose_the_result(monkeypatch):
    class Gone:
        def close(self):
            raise InterfaceError("connection already closed")

    monkeypatch.setattr(async_pool.connections, "all", lambda **_: [Gone()])
    assert asyncio.run(run_in_pool(lambda: "answered")) == "answered"


@pytest.mark.django_db
def test_run_in_pool__in_a_test_sees_the_rows_of_its_transaction(monkeypatch):
    monkeypatch.setattr(under_test, "is_this_process", lambda: True)
    assert async_to_sync(run_in_pool)(lambda: connection.in_atomic_block)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked")
def test_run_in_pool__a_forked_child_has_threads_of_its_own():
    assert asyncio.run(run_in_pool(lambda: 1)) == 1
    child = os.fork()
    if not child:
        code = 1
        try:
            code = asyncio.run(asyncio.wait_for(run_in_pool(lambda: 7), 10))
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
