"""What providers that ask over HTTP have in common: its faults in words, and when to give up."""

import asyncio
import os
import threading
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from math import ceil
from typing import Any, Final, Generic, TypeVar

from geocache import event_loop, extras
from geocache.exceptions import ProviderError
from geocache.location import Location
from geocache.providers.base import Provider, Source, joined_sources
from geocache.providers.http import loop_clients
from geocache.providers.http.bounded_aiohttp import LeftAlone, proxy_of
from geocache.providers.http.bounded_requests import Resting, TooLarge
from geocache.providers.http.rest import Rest

with extras.needed("web"):
    import aiohttp
    import requests

Client = TypeVar("Client")
AsyncClient = TypeVar("AsyncClient", bound=loop_clients.AsyncClient)

# Somebody waits for a page meanwhile.
TIMEOUT_SECONDS: Final = 5.0
MAX_TIMEOUT_SECONDS: Final = 60.0
# How many addresses of one batch are asked about at a time: more would look like an attack to a
# service that counts by the second.
CONNECTIONS: Final = 8
# A batch without an event loop begins one from so many addresses on. Below, the connections that
# would be opened for it cost more than they save.
MANY: Final = 5
# After so many failures in a row the rest of a batch is not asked for: each may cost the timeout.
FAILURES_IN_A_ROW: Final = 3
BUSY: Final = "has as many queries under way as ASYNC_QUERIES allows"
LEFT_ALONE: Final = "was asked too often, and is left alone for a while"
UNREAD: Final = "answers with fields of which none can be read"
MALFORMED: Final = "sends an answer that cannot be read"
STATUSES: Final = {
    401: "refuses the account or the key (401)",
    402: "is out of queries (402)",
    403: "does not allow this account to ask (403)",
    429: "is asked too often (429), and left alone for a while",
}
# The first that fits: a time-out while connecting is also a ConnectionError, and all errors of
# requests, which it raises itself for a missing file of certificates, are an OSError.
FAULTS: Final[tuple[tuple[type[OSError | aiohttp.ClientError], str], ...]] = (
    (Resting, LEFT_ALONE),
    (LeftAlone, LEFT_ALONE),
    (TooLarge, "sends more than any answer"),
    (requests.TooManyRedirects, "redirects, which is not followed"),
    (aiohttp.TooManyRedirects, "redirects, which is not followed"),
    (requests.exceptions.SSLError, "has no certificate that can be trusted"),
    (aiohttp.ClientSSLError, "has no certificate that can be trusted"),
    (requests.Timeout, "did not answer in time"),
    (TimeoutError, "did not answer in time"),
    (requests.ConnectionError, "cannot be reached, or broke off"),
    (aiohttp.ClientConnectionError, "cannot be reached, or broke off"),
    (requests.exceptions.ChunkedEncodingError, "broke off in the middle of an answer"),
    (aiohttp.ClientPayloadError, "broke off in the middle of an answer"),
    (requests.exceptions.ContentDecodingError, MALFORMED),
    (aiohttp.ClientResponseError, MALFORMED),
    (aiohttp.ClientError, "cannot be asked as it is set up"),
    (OSError, "cannot be asked as it is set up"),
)


class ServiceProvider(Provider, Generic[Client, AsyncClient]):
    """Ask a service with a client for each thread, and one for each event loop.

    Neither a session of ``requests`` nor geoip2's client around it is said to be safe for threads.
    A connection that was inherited by a fork would give one process the answers of another.
    """

    is_metered = True

    def __init__(self, name: str, timeout_seconds: float) -> None:
        if not 0 < timeout_seconds <= MAX_TIMEOUT_SECONDS:
            raise TypeError(f"timeout_seconds is not above 0, or above {MAX_TIMEOUT_SECONDS:g}")
        self._name = name
        self._label = joined_sources([str(Source(name=name))])
        self.timeout_seconds = timeout_seconds
        # One for all threads: who is told to wait speaks for the others.
        self.rest = Rest()
        self._local = threading.local()
        self._loop_clients = loop_clients.LoopClients[AsyncClient]()

    @property
    def name(self) -> str:
        return self._name

    @property
    def log_name(self) -> str:
        return self._name

    @abstractmethod
    def make_client(self) -> Client:
        """Return a client of this thread's own."""

    @abstractmethod
    def make_async_client(self) -> AsyncClient:
        """Return a client of the running event loop's own."""

    @abstractmethod
    async def aresolve(self, client: AsyncClient, address: str) -> Location:
        """Do what ``resolve`` does with a client of this event loop, once ``build`` was called."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Return a URL of the service, which decides through which proxy it is asked."""

    @cached_property
    def proxy(self) -> str | None:
        """Return the proxy in front of the service; to find it takes as long as half a query."""
        # Of a URL that cannot be asked there is none.
        return None if self.check() else proxy_of(self.url)

    @property
    def rest_seconds(self) -> float:
        return self.rest.left_seconds()

    def time_limit_seconds(self, count: int) -> float:
        # To connect and send may take one time-out, and to read the body another one.
        return 2 * self.timeout_seconds * self.request_count(count)

    def request_count(self, count: int) -> int:
        """Return how many requests for ``count`` addresses are made one after the other."""
        return ceil(count / CONNECTIONS) if self._is_at_once(count) else count

    def resolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        wanted = list(addresses)
        if self._is_at_once(len(wanted)):
            asyncio.run(self._ask_at_once(answers, wanted))
        else:
            self._ask_in_turn(answers, wanted)

    async def aresolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        wanted = list(addresses)
        if self._is_native():
            await self._ask_at_once(answers, wanted)
        else:
            await super().aresolve_into(answers, wanted)

    def _is_at_once(self, count: int) -> bool:
        """Tell whether ``resolve_into`` asks about so many addresses several at a time."""
        return count >= MANY and not event_loop.is_running() and self._is_native()

    def _is_native(self) -> bool:
        """Tell whether the service can be asked in an event loop; not through a SOCKS proxy."""
        return self.proxy is None or self.proxy.startswith(("http:", "https:"))

    def _ask_in_turn(self, answers: dict[str, Location], wanted: list[str]) -> None:
        failures: list[ProviderError] = []
        for address in wanted:
            try:
                answers[address] = self.resolve(address)
                failures = []
            except ProviderError as error:
                failures.append(error)
                if len(failures) == FAILURES_IN_A_ROW:
                    break
        if failures and answers.keys().isdisjoint(wanted):
            raise failures[-1]

    async def _ask_at_once(self, answers: dict[str, Location], wanted: list[str]) -> None:
        self.build()
        left = iter(wanted)
        failures: list[ProviderError] = []

        async def take_the_next() -> None:
            for address in left:
                try:
                    async with self.slot() as client:
                        answers[address] = await self.aresolve(client, address)
                    failures.clear()
                except ProviderError as error:
                    failures.append(error)
                if len(failures) >= FAILURES_IN_A_ROW:
                    break

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(CONNECTIONS, len(wanted))):
                    group.create_task(take_the_next())
        except BaseExceptionGroup as bugs:
            raise bugs.exceptions[0] from None
        if failures and answers.keys().isdisjoint(wanted):
            raise failures[-1]

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[AsyncClient]:
        """Give this event loop's client as soon as fewer than ``queries_at_once`` use it.

        To wait for that is not within the time-out of the query, and takes no longer than it.
        """
        with self.faults_told():
            kept = await self._loop_clients.of_this_loop(
                self.make_async_client, self.queries_at_once
            )
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await kept.slots.acquire()
        except TimeoutError:
            raise self.failure(BUSY) from None
        try:
            yield kept.client
        finally:
            kept.slots.release()

    def location(self, address: str, **fields: Any) -> Location:
        """Return what the service has just answered."""
        return Location(
            address=address, resolved_at=datetime.now(UTC), source=self._label, **fields
        )

    def failure(self, fault: str) -> ProviderError:
        """Return the failure in words that name the service, and neither its URL nor its keys."""
        return ProviderError(f"{self.name} {fault}")

    def status_failure(self, status: int) -> ProviderError:
        """Return the failure that a status other than 200 means."""
        return self.failure(STATUSES.get(status) or f"answers with the status {status}")

    @contextmanager
    def faults_told(self) -> Iterator[None]:
        """Turn what ``requests`` and ``aiohttp`` raise into ``ProviderError``.

        Without its cause, whose text names the URL and with it perhaps a key.
        """
        try:
            yield
        except (OSError, aiohttp.ClientError) as error:
            fault = next(words for kind, words in FAULTS if isinstance(error, kind))
            raise self.failure(fault) from None

    def client(self) -> Client:
        """Return this thread's client; another one after a fork."""
        if getattr(self._local, "process_id", None) != os.getpid():
            self._local.client = self.make_client()
            self._local.process_id = os.getpid()
        client: Client = self._local.client
        return client
