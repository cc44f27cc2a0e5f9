"""Answers from MaxMind's web services: GeoLite and GeoIP2 Country, City Plus, Insights.

A query costs money, or one of a free account's thousand a day. Protocol:
https://dev.maxmind.com/geoip/docs/web-services/
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from geocache import extras
from geocache.exceptions import ProviderError
from geocache.location import NOT_FOUND, Location
from geocache.providers.base import Source
from geocache.providers.coercion import (
    address_text,
    chosen_languages,
    integer,
    is_nothing,
    mapping,
    network_around,
)
from geocache.providers.http.base import MALFORMED, TIMEOUT_SECONDS, UNREAD, ServiceProvider
from geocache.providers.http.bounded_aiohttp import BoundedClient, proxy_of
from geocache.providers.http.bounded_requests import bound
from geocache.providers.http.rest import Rest
from geocache.providers.maxmind_layout import maxmind_fields

with extras.needed("web"):
    import geoip2.webservice
    from geoip2.errors import (
        AddressNotFoundError,
        AuthenticationError,
        GeoIP2Error,
        OutOfQueriesError,
        PermissionRequiredError,
    )

GEOLITE_HOST: Final = "geolite.info"
SERVICES: Final = ("country", "city", "insights")
# What is read of an answer.
PARTS: Final = (
    *("city", "continent", "country", "location", "postal", "registered_country", "subdivisions"),
)
# Raised when the same service begins to be read differently: older answers are then stale.
RELEASE: Final = 3
ATTRIBUTION: Final = (
    "This product includes GeoLite data created by MaxMind, available from https://www.maxmind.com"
)
# What geoip2's client and models raise for an answer of another shape than MaxMind's.
MISSHAPEN: Final = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


class _Client(geoip2.webservice.Client):
    """The library's client within bounds, for which it has no way but its private session."""

    def __init__(
        self, account_id: str, license_key: str, host: str, timeout: float, rest: Rest
    ) -> None:
        super().__init__(int(account_id), license_key, host, timeout=timeout)
        bound(self._session, rest, timeout)


class _AsyncClient(geoip2.webservice.AsyncClient):
    """The library's client for many questions at once, with a session of ours."""

    def __init__(
        self, account_id: str, license_key: str, host: str, timeout: float, rest: Rest
    ) -> None:
        proxy = proxy_of(f"https://{host}")
        super().__init__(int(account_id), license_key, host, timeout=timeout, proxy=proxy)
        basic = b64encode(f"{int(account_id)}:{license_key}".encode()).decode()
        headers = {"Accept": "application/json", "Authorization": f"Basic {basic}"}
        self._bounded = BoundedClient(rest, timeout, headers)
        self._existing_session = self._bounded.session

    async def close(self) -> None:
        await self._bounded.close()


class MaxMindProvider(ServiceProvider[_Client, _AsyncClient]):
    """Ask ``service`` at ``host``: geolite.info, or geoip.maxmind.com for what is paid for."""

    def __init__(
        self,
        account_id: int | str = "",
        license_key: str = "",
        *,
        service: str = "city",
        host: str = GEOLITE_HOST,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        product = "GeoLite" if host == GEOLITE_HOST else "GeoIP"
        super().__init__(f"MaxMind {product} {service} service", timeout_seconds)
        self._account_id = str(account_id)
        self._license_key = license_key
        self._service = service
        self._host = host
        # What the service said last, for people to see; GeoLite's may not say it.
        self.queries_remaining: int | None = None

    def build(self) -> str:
        for problem in self.check():
            raise ProviderError(problem)
        return f"maxmind-{self._host}-{self._service}-{RELEASE}{chosen_languages()}"

    def sources(self) -> list[Source]:
        self.build()
        attribution = ATTRIBUTION if self._host == GEOLITE_HOST else ""
        return [Source(name=self.name, attribution=attribution)]

    def check(self) -> list[str]:
        key = self._license_key
        wrong = {
            "needs an account id, a number": not re.fullmatch(r"[0-9]{1,18}", self._account_id),
            "needs a licence key": not (key and key.isascii() and key.isprintable()),
            f"does not exist; there are {', '.join(SERVICES)}": self._service not in SERVICES,
            "has no host name that can be asked": not re.fullmatch(
                r"[a-z0-9.-]+(:[0-9]+)?", self._host
            ),
            "is offered at geoip.maxmind.com only": self._service == "insights"
            and self._host == GEOLITE_HOST,
        }
        return [f"{self.name} {words}" for words, is_wrong in wrong.items() if is_wrong]

    @property
    def url(self) -> str:
        return f"https://{self._host}"

    def make_client(self) -> _Client:
        return _Client(*self._access())

    def make_async_client(self) -> _AsyncClient:
        return _AsyncClient(*self._access())

    def resolve(self, address: str) -> Location:
        self.build()
        with self._failures_told():
            try:
                record = getattr(self.client(), self._service)(address).to_dict()
            except AddressNotFoundError:
                return self._not_found(address)
        return self._answer(address, record)

    async def aresolve(self, client: _AsyncClient, address: str) -> Location:
        with self._failures_told():
            try:
                record = (await getattr(client, self._service)(address)).to_dict()
            except AddressNotFoundError:
                return self._not_found(address)
        return self._answer(address, record)

    def _access(self) -> tuple[str, str, str, float, Rest]:
        return (
            self._account_id,
            self._license_key,
            self._host,
            self.timeout_seconds,
            self.rest,
        )

    def _not_found(self, address: str) -> Location:
        # The network that this error has for a file is never known for a service.
        return self.location(address, reason=NOT_FOUND)

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            with self.faults_told():
                yield
        except GeoIP2Error as error:
            raise self._failure_of(error) from None
        except MISSHAPEN:
            raise self.failure(MALFORMED) from None

    def _answer(self, address: str, record: dict[str, Any]) -> Location:
        traits = mapping(record.get("traits"))
        if address_text(traits.get("ip_address")) != address:
            raise self.failure("answers for another address")
        remaining = mapping(record.get("maxmind")).get("queries_remaining")
        self.queries_remaining = integer(remaining, 2**63 - 1)
        found = maxmind_fields(record)
        if not found and any(_says_something(record.get(part)) for part in PARTS):
            raise self.failure(UNREAD)
        network = network_around(address, traits.get("network"))
        return self.location(address, network=network, **(found or {"reason": NOT_FOUND}))

    def _failure_of(self, error: GeoIP2Error) -> ProviderError:
        if isinstance(error, AuthenticationError):
            return self.status_failure(401)
        if isinstance(error, OutOfQueriesError):
            self.queries_remaining = 0
            return self.status_failure(402)
        if isinstance(error, PermissionRequiredError):
            return self.status_failure(403)
        # HTTPError names the status; InvalidRequestError has it as the third of what it was given.
        status = getattr(error, "http_status", None) or next(iter(error.args[2:3]), None)
        if not isinstance(status, int) or status == 200:
            return self.failure(MALFORMED)
        return self.status_failure(status)


def _says_something(value: object) -> bool:
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return any(map(_says_something, parts))
    return not is_nothing(value)
