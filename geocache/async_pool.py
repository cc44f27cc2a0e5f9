"""The threads that asynchronous code has for what blocks: a bounded pool of its own.

Never Django's thread, which all other calls of a project's asynchronous code share. It begins with
the first job, and a forked child begins its own.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import Final, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.core.signals import setting_changed
from django.db import Error, connections

from geocache import conf, under_test

THREAD_NAME: Final = "geocache async"

P = ParamSpec("P")
R = TypeVar("R")


async def run_in_pool(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what ``function`` returns, called in a thread with the context of the caller.

    A caller that is cancelled does not end a job that has begun. In a run of tests it is Django's
    thread: the test's rows are often in a transaction that no other sees.
    """
    if under_test.is_this_process():
        return await sync_to_async(function)(*args, **kwargs)
    return await sync_to_async(_without_connections, thread_sensitive=False, executor=_executor())(
        lambda: function(*args, **kwargs)
    )


def _without_connections(function: Callable[[], R]) -> R:
    """Call ``function``, and close the connections to databases that it has opened.

    The thread may be idle for long, and no request ends in it that would close them.
    """
    try:
        return function()
    finally:
        for connection in connections.all(initialized_only=True):
            with suppress(Error):
                connection.close()


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
