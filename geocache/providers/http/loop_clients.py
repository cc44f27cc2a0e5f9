"""A client for each event loop that asks with one: ``aiohttp`` cannot share it between two."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar


class AsyncClient(Protocol):
    """What is closed in the event loop that it belongs to."""

    async def close(self) -> None:
        """Close all connections."""


Client = TypeVar("Client", bound=AsyncClient)


@dataclass(frozen=True, slots=True)
class LoopClient(Generic[Client]):
    """The client of one event loop, and how many may ask with it at once."""

    client: Client
    slots: asyncio.Semaphore
    keeper: AsyncGenerator[None]


class LoopClients(Generic[Client]):
    """The clients of a process; each is closed when its event loop ends, or with this object."""

    def __init__(self) -> None:
        # Connections that were inherited by a fork would give one process the answers of another.
        self._kept: Final[dict[tuple[int, asyncio.AbstractEventLoop], LoopClient[Client]]] = {}

    async def of_this_loop(self, make: Callable[[], Client], slot_count: int) -> LoopClient[Client]:
        """Return the client of the running event loop, which ``make`` returns the first time."""
        key = os.getpid(), asyncio.get_running_loop()
        kept = self._kept.get(key)
        if kept is None:
            client = make()
            kept = LoopClient(client, asyncio.Semaphore(slot_count), _closed_at_the_end(client))
            self._kept[key] = kept
            # Begun now, so that the event loop ends it. Nothing in it lets another task run.
            await anext(kept.keeper)
            await self._forget_ended_loops()
        return kept

    async def _forget_ended_loops(self) -> None:
        for process_id, loop in list(self._kept):
            if loop.is_closed() and (ended := self._kept.pop((process_id, loop), None)):
                # Of a loop that did not end it itself, as ``loop.close`` alone does not.
                await ended.keeper.aclose()


async def _closed_at_the_end(client: AsyncClient) -> AsyncGenerator[None]:
    """Close ``client`` when the generator ends: an event loop ends those that are not finished.

    It does so as its last act, ``shutdown_asyncgens``, or before when the last reference is gone.
    """
    try:
        yield
    finally:
        await client.close()
