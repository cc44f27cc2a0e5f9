"""How the steps of a look-up are executed that wait: in the thread of the caller, or elsewhere.

So that each rule of a paid look-up is written once, as a coroutine: with ``BLOCKING`` it never
waits, and ``finished`` gives its result to a caller without an event loop.
"""

import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from geocache.location import Location
from geocache.providers import quota
from geocache.providers.base import Provider

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Execution(Protocol):
    """What a look-up waits for: cache and database, the provider, and time."""

    @property
    def token(self) -> str:
        """Return the holder of its locks; the empty text for a new one of each flight."""
        ...

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what ``function`` returns, which asks the cache or the database."""
        ...

    async def run_together(self, function: Callable[[Sequence[T]], None], item: T) -> None:
        """Do what ``function`` does with ``item``, and perhaps with those of others."""
        ...

    async def ask(
        self, provider: Provider, answers: dict[str, Location], addresses: Iterable[str]
    ) -> None:
        """Do what ``quota.ask`` does."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        ...


class Blocking:
    """Execute each step in the thread of the caller."""

    token = ""

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    async def run_together(self, function: Callable[[Sequence[T]], None], item: T) -> None:
        function([item])

    async def ask(
        self, provider: Provider, answers: dict[str, Location], addresses: Iterable[str]
    ) -> None:
        quota.ask(provider, answers, addresses)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - no event loop runs this


BLOCKING: Final = Blocking()


def finished(coroutine: Coroutine[Any, Any, R]) -> R:
    """Return the result of a coroutine whose steps are all executed by ``BLOCKING``."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        result: R = ended.value
        return result
    raise AssertionError("a step that blocks has waited")
