"""What providers that ask over HTTP have in common: its faults in words, and when to give up."""

import asyncio
import os
import threading
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from geocache import extras
from geocache.exceptions import ProviderError
from geocache.location import Location
from geocache.providers.base import Provider, Source, joined_sources
from geocache.providers.http.bounded_aiohttp import CONNECTIONS, LeftAlone
from geocache.providers.http.bounded_requests import Resting, TooLarge
from geocache.providers.http.rest import Rest

with extras.needed("web"):
    import aiohttp
    import requests

Client = TypeVar("Client")

# Somebody waits for a page meanwhile.
TIMEOUT_SECONDS: Final = 5.0
MAX_TIMEOUT_SECONDS: Final = 60.0
# After so many failures in a row the rest of a batch is not asked for: each may cost the timeout.
FAILURES_IN_A_ROW: Final = 3
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


class ServiceProvider(Provider, Generic[Client]):
    """Ask a service with a client for each thread.

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

    @property
    def name(self) -> str:
        return self._name

    @property
    def log_name(self) -> str:
        return self._name

    @abstractmethod
    def make_client(self) -> Client:
        """Return a client of this thread's own."""

    @property
    def rest_seconds(self) -> float:
        return self.rest.left_seconds()

    def time_limit_seconds(self, count: int) -> float:
        # To connect and send may take one time-out, and to read the body another one.
        return 2 * self.timeout_seconds * self.request_count(count)

    def request_count(self, count: int) -> int:
        """Return how many requests for ``count`` addresses are made one after the other."""
        return count

    def resolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        wanted = list(addresses)
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

    async def ask_at_once(
        self,
        answers: dict[str, Location],
        addresses: list[str],
        ask: Callable[[str], Awaitable[Location]],
    ) -> None:
        """Do what ``resolve_into`` does, about ``CONNECTIONS`` addresses at a time."""
        left = iter(addresses)
        failures: list[ProviderError] = []

        async def take_the_next() -> None:
            for address in left:
                try:
                    answers[address] = await ask(address)
                    failures.clear()
                except ProviderError as error:
                    failures.append(error)
                if len(failures) >= FAILURES_IN_A_ROW:
                    break

        await asyncio.gather(*(take_the_next() for _ in range(CONNECTIONS)))
        if failures and answers.keys().isdisjoint(addresses):
            raise failures[-1]

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
