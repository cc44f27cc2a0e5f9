"""The threads that asynchronous code has for what blocks: a bounded pool of its own.

Never Django's thread, which all other calls of a project's asynchronous code share. It begins with
the first job, and a forked child begins its own.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import cache, partial
from typing import Final, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.core.signals import setting_changed
from django.db import connections

from geocache import conf, under_test
from geocache.event_loop import to_its_end

THREAD_NAME: Final = "geocache async"
# What asgiref keeps for a thread, as Django's connections to caches: a thread of the pool has its
# own, so that it need not connect for each job.
OF_THREAD: Final = "asgiref.local"

P = ParamSpec("P")
R = TypeVar("R")


def is_used() -> bool:
    """Tell whether jobs have threads of their own, which they have outside of a run of tests.

    The rows of a test are often in a transaction, which only the connection of its thread sees.
    """
    return not under_test.is_this_process()


async def run_in_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what ``function`` returns, called in a thread with the context of the caller.

    A job runs to its end, also when its caller is cancelled, who is told so after it. In a run of
    tests it is the thread that ``sync_to_async`` has.
    """
    if not is_used():
        return await to_its_end(sync_to_async(function)(*args, **kwargs))
    return await to_its_end(submit(function, *args, **kwargs))


def submit(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[R]":
    """Have ``function`` called, and return what is done with it in the running event loop.

    A plain future, which the end of a loop does not cancel as it does with tasks.
    """
    job = partial(function, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(_executor(), _run, job, copy_context())


def run_and_wait(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do what ``run_in_pool`` does, while the caller blocks: also one in an event loop."""
    return _executor().submit(_run, partial(function, *args, **kwargs), copy_context()).result()


def _run(job: Callable[[], R], context: Context) -> R:
    """Run ``job``, and close the connections to databases that it has opened.

    The thread may be idle for long, and no request ends in it that would close them.
    """
    given = [
        (variable, variable.set(value))
        for variable, value in context.items()
        if variable.name != OF_THREAD
    ]
    try:
        return job()
    except StopIteration as error:
        # No future takes one, so that its caller would wait indefinitely.
        raise RuntimeError("StopIteration") from error
    finally:
        for variable, token in given:
            variable.reset(token)
        _close_connections()


def _close_connections() -> None:
    for connection in connections.all(initialized_only=True):
        try:
            connection.close()
        except Exception:  # noqa: BLE001, S112 - a driver's own; the job has its result
            continue


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(conf.get("ASYNC_THREADS"), THREAD_NAME)


def _forget(*, setting: str, **_: object) -> None:
    if setting == "GEOCACHE":
        _executor.cache_clear()


setting_changed.connect(_forget, dispatch_uid="geocache.async_pool")
if hasattr(os, "register_at_fork"):
    # The threads are those of the parent.
    os.register_at_fork(after_in_child=_executor.cache_clear)
