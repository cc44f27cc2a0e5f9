"""The read path in an event loop: nothing waits in it, and few threads do.

What is known is answered at once. The rest is gathered: addresses that are asked for in one turn of
the loop, or while all threads are busy, go through the tiers together, in one job of a thread. A
provider that is paid is asked in the loop itself, where waiting takes no thread.

What callers wait for is shared, and goes on when one of them is cancelled.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Any, Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async

from geocache import async_pool, conf
from geocache.addresses import public_text
from geocache.async_pool import run_in_pool
from geocache.batches import batches
from geocache.event_loop import to_its_end
from geocache.journal.announcements import Announcements, held_in
from geocache.location import Location
from geocache.locks.cache_lock import new_token
from geocache.lookup import tiers
from geocache.lookup.memory import Asked, memory
from geocache.lookup.single_flight import block_of
from geocache.lookup.tiers import Address, Unpaid
from geocache.providers import quota
from geocache.providers.base import Provider

# Steps that one job executes. All who waited for it go on in one turn of the event loop, in which
# other tasks wait.
TOGETHER: Final = 25

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


async def alookup(address: Asked) -> Location:
    """Return what ``lookup`` does without blocking the event loop."""
    try:
        known = memory.get(address)
    except TypeError:
        known = None  # not hashable, so that it is not an address either
    if known is not None:
        return known
    if not async_pool.is_used():
        return await sync_to_async(tiers.lookup)(address)
    text = public_text(address)
    if not text:
        return tiers.locate_texts({address: text})[address]
    location = await _gathering().locate(text)
    tiers.remember({address: location})
    return location


async def alookup_many(addresses: Iterable[Asked]) -> dict[Asked, Location]:
    """Return what ``lookup_many`` does without blocking the event loop."""
    if not async_pool.is_used():
        return await sync_to_async(tiers.lookup_many)(addresses)
    by = _gathering().by
    try:
        held, unknown = await by.run(tiers.recall_many, addresses)
        for some in batches(list(unknown.items()), tiers.BATCH_ADDRESSES):
            held |= await tiers.alocate_texts(by, dict(some))
    finally:
        await by.announce()
    return {asked: location for asked, location in held.items() if location is not None}


class InPool:
    """Execute what blocks in a thread of the pool, and wait for the provider in one event loop."""

    def __init__(self) -> None:
        self.token = new_token()
        self._unsent = Announcements()
        # By function, what it is going to be called with, and what ends with that.
        self._together: dict[Callable[..., None], list[tuple[Any, asyncio.Future[None]]]] = {}

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        announced = Announcements()
        try:
            return await run_in_pool(_held, announced, partial(function, *args, **kwargs))
        finally:
            self._unsent.add(announced)

    async def run_together(self, function: Callable[[Sequence[T]], None], item: T) -> None:
        """Call ``function`` with the items that it is given in one turn of the event loop."""
        loop = asyncio.get_running_loop()
        if function not in self._together:
            self._together[function] = []
            loop.call_soon(self._start, function)
        ended: asyncio.Future[None] = loop.create_future()
        self._together[function].append((item, ended))
        await to_its_end(ended)

    def _start(self, function: Callable[..., None]) -> None:
        for some in batches(self._together.pop(function), TOGETHER):
            announced = Announcements()
            job = async_pool.submit(_held, announced, partial(function, [item for item, _ in some]))
            job.add_done_callback(partial(self._finish, some, announced))

    def _finish(
        self,
        together: list[tuple[Any, "asyncio.Future[None]"]],
        announced: Announcements,
        job: "asyncio.Future[None]",
    ) -> None:
        self._unsent.add(announced)
        error = job.exception()
        for _, ended in together:
            if error:
                ended.set_exception(error)
            else:
                ended.set_result(None)

    async def ask(
        self, provider: Provider, answers: dict[str, Location], addresses: Iterable[str]
    ) -> None:
        await quota.aask(provider, answers, addresses, together=self.run_together)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def announce(self) -> None:
        """Send what was held back, unless another has; in Django's thread, as receivers wait.

        In a thread of the pool a receiver that looks up would wait for another thread of the pool.
        """
        if self._unsent:
            announcements, self._unsent = self._unsent, Announcements()
            await sync_to_async(announcements.send)()


def _held(announcements: Announcements, step: Callable[[], R]) -> R:
    with held_in(announcements):
        return step()


@dataclass(slots=True, eq=False)
class Wait:
    """What the callers wait for that have asked for one address."""

    located: "asyncio.Future[Location]"
    caller_count: int = 0


class Gathering:
    """What is asked for in one event loop. It keeps no loop alive that has answered all of it."""

    def __init__(self) -> None:
        self.by = InPool()
        # By the normalised address; all that have no answer yet, and those that no job has begun.
        self._waits: dict[str, Wait] = {}
        self._unbegun: list[str] = []
        self._job_count = 0
        self._is_due = False
        # Of blocks of addresses that are being paid for, what ends with it.
        self._paid: dict[str, asyncio.Future[None]] = {}
        # The loop itself has weak references only.
        self._tasks: set[asyncio.Task[None]] = set()

    async def locate(self, text: str) -> Location:
        """Return the location of a public address."""
        wait = self._waits.get(text)
        if wait is None:
            wait = self._waits[text] = Wait(asyncio.get_running_loop().create_future())
            self._unbegun.append(text)
            self._begin_soon()
        wait.caller_count += 1
        try:
            location = await asyncio.shield(wait.located)
        finally:
            wait.caller_count -= 1
        await self.by.announce()
        return location

    def _begin_soon(self) -> None:
        is_thread_free = self._job_count < conf.get("ASYNC_THREADS")
        if self._unbegun and is_thread_free and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        some = self._unbegun[: tiers.BATCH_ADDRESSES]
        del self._unbegun[: tiers.BATCH_ADDRESSES]
        self._start_job(some)
        self._begin_soon()

    def _start_job(self, public: Collection[str]) -> None:
        self._job_count += 1
        self._spawn(self._locate_free(public), public)

    def _spawn(self, work: Coroutine[Any, Any, None], public: Collection[str]) -> None:
        """Have ``work`` done whatever becomes of its callers: in the context of none of them."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(partial(self._end, public))

    def _end(self, public: Collection[str], task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            # As the end of a loop does it.
            for text in public:
                if wait := self._waits.pop(text, None):
                    wait.located.cancel()

    async def _locate_free(self, public: Collection[str]) -> None:
        try:
            locations, unpaid = await self.by.run(tiers.locate_free, public)
        except Exception as error:  # noqa: BLE001 - the callers raise it
            self._fail(public, error)
            return
        finally:
            self._job_count -= 1
            self._begin_soon()
        self._answer(locations)
        for group in self._groups(unpaid) if unpaid else ():
            self._spawn(self._pay(group), group.addresses)

    def _groups(self, unpaid: Unpaid) -> Iterator[Unpaid]:
        """Give what is paid for by itself: each block, or all together where that is one query."""
        blocks: defaultdict[str, dict[str, Address]] = defaultdict(dict)
        for text, address in unpaid.addresses.items():
            blocks[block_of(address)][text] = address
        if unpaid.provider.has_batch_endpoint:
            free = [block for block in blocks if block not in self._paid]
            together = {text: one for block in free for text, one in blocks.pop(block).items()}
            blocks[""] = together
        for addresses in filter(None, blocks.values()):
            yield replace(unpaid, addresses=addresses)

    async def _pay(self, unpaid: Unpaid) -> None:
        blocks = {block_of(address) for address in unpaid.addresses.values()}
        while others := {self._paid[block] for block in blocks if block in self._paid}:
            await asyncio.wait(others)
        ended = asyncio.get_running_loop().create_future()
        self._paid |= dict.fromkeys(blocks, ended)
        try:
            locations = await tiers.pay_for(self.by, unpaid, is_of_one=False)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(unpaid.addresses, error)
        else:
            self._answer(locations)
        finally:
            for block in blocks:
                del self._paid[block]
            ended.set_result(None)

    def _answer(self, locations: Mapping[str, Location]) -> None:
        waits = [(self._waits.pop(text), location) for text, location in locations.items()]
        for wait, location in waits:
            wait.located.set_result(location)
        if not any(wait.caller_count for wait, _ in waits):
            self._spawn(self.by.announce(), ())

    def _fail(self, public: Collection[str], error: Exception) -> None:
        """Fail what was tried by itself; try each of several so, as one of them may be to blame."""
        for text in public:
            if len(public) > 1:
                self._start_job([text])
            else:
                self._waits.pop(text).located.set_exception(error)


_gatherings: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Gathering]] = WeakKeyDictionary()
_lock: Final = Lock()


def _gathering() -> Gathering:
    """Return the one of the running event loop; several threads may have a loop each."""
    loop = asyncio.get_running_loop()
    with _lock:
        return _gatherings.setdefault(loop, Gathering())
