"""Whether the caller is inside of an event loop, where nothing may block, and work in one."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


def is_running() -> bool:
    """Tell whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def to_its_end(work: Awaitable[Result]) -> Result:
    """Await work that must not be left half done; a cancellation meanwhile is raised after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            # Unlike a plain await, this does not cancel the task along with the caller.
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        raise cancelled from None if task.cancelled() else task.exception()
    return task.result()
