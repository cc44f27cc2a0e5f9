"""Answers from any service that speaks JSON over HTTP, read by a mapping in the settings."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import ceil
from typing import Any, Final, NamedTuple

from geocache import extras
from geocache.exceptions import ProviderError
from geocache.location import NOT_FOUND, Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.providers.base import Source
from geocache.providers.coercion import POINT, address_text, known, network_around
from geocache.providers.http.base import MALFORMED, TIMEOUT_SECONDS, UNREAD, ServiceProvider
from geocache.providers.http.bounded_aiohttp import BoundedClient, exact_url, proxy_of
from geocache.providers.http.bounded_requests import bound
from geocache.providers.http.json_fields import READERS, has_path, is_unread, pick
from geocache.providers.http.json_presets import PRESETS, fitting_presets
from geocache.providers.http.json_schema import Batch, Service
from geocache.providers.network_kinds import is_true, plain_value, put_details, put_traits

with extras.needed("web"):
    import requests

log = get_logger(__name__)

# Raised when the same answers begin to be read differently: older ones are then stale.
RELEASE: Final = 3


class _Query(NamedTuple):
    """One request: ``body`` is sent as JSON, unless it is None."""

    method: str
    url: str
    body: object = None


class _Response(NamedTuple):
    status: int
    content: bytes


class HttpJsonProvider(ServiceProvider[requests.Session, BoundedClient]):
    """Ask the service of ``preset``, or of a mapping: the fields of ``json_mapping.Service``."""

    def __init__(
        self, preset: str = "", *, timeout_seconds: float = TIMEOUT_SECONDS, **mapping: Any
    ) -> None:
        if preset and preset not in PRESETS:
            raise TypeError(f"there is no preset {preset}, only {', '.join(PRESETS)}")
        self._preset = preset
        given = PRESETS.get(preset, {}) | mapping
        batch = given.pop("batch", None)
        self.service = Service(**given, batch=Batch(**batch) if batch else None)
        self._problems = self.service.problems()
        self._unread_throttle = LogThrottle(seconds=3600)
        self.names_networks = "network" in self.service.fields
        self.has_batch_endpoint = self.service.batch is not None
        super().__init__(self.service.name, timeout_seconds)

    def build(self) -> str:
        for problem in self._problems:
            raise ProviderError(problem)
        return f"{self.name}-{RELEASE}-{self.service.version()}"

    def sources(self) -> list[Source]:
        self.build()
        return [Source(name=self.name, attribution=self.service.attribution)]

    def check(self) -> list[str]:
        return self._problems

    def doubts(self) -> list[str]:
        preset = PRESETS.get(self._preset, {})
        # With fields of its own a mapping reads what it wants to.
        if self._problems or self.service.fields != preset.get("fields"):
            return []
        names = " or ".join(fitting_presets(self._preset, self.service.url))
        told = f"{self.name}: url is one for the preset {names}, not {self._preset}; name that one"
        return [told] if names else []

    @property
    def url(self) -> str:
        return self.service.url

    def make_client(self) -> requests.Session:
        session = bound(requests.Session(), self.rest, self.timeout_seconds)
        # Anything here keeps requests from sending a password out of ~/.netrc.
        session.auth = lambda request: request
        session.headers.update(self._headers())
        return session

    def make_async_client(self) -> BoundedClient:
        return BoundedClient(self.rest, self.timeout_seconds, self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json", **self.service.filled_headers()}

    def resolve(self, address: str) -> Location:
        self.build()
        return self._answer_in(self._ask(self._query(address)), address)

    async def aresolve(self, client: BoundedClient, address: str) -> Location:
        response = await self._aask(client, self._query(address), self.proxy)
        return self._answer_in(response, address)

    def request_count(self, count: int) -> int:
        batch = self.service.batch
        return ceil(count / batch.size) if batch else super().request_count(count)

    def resolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        wanted = list(addresses)
        batch = self.service.batch
        if batch is None or len(wanted) == 1:
            super().resolve_into(answers, wanted)
            return
        self.build()
        for some, query in self._batches(batch, wanted):
            try:
                self._put(answers, batch, some, self._ask(query))
            except ProviderError:
                if answers.keys().isdisjoint(wanted):
                    raise
                break

    async def aresolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        wanted = list(addresses)
        batch = self.service.batch
        if batch is None or len(wanted) == 1 or not self._is_native():
            await super().aresolve_into(answers, wanted)
            return
        self.build()
        for some, query in self._batches(batch, wanted):
            try:
                async with self.slot() as client:
                    response = await self._aask(client, query, proxy_of(query.url))
                self._put(answers, batch, some, response)
            except ProviderError:
                if answers.keys().isdisjoint(wanted):
                    raise
                break

    def _query(self, address: str) -> _Query:
        return _Query("GET", self.service.url_of(address))

    def _batches(self, batch: Batch, wanted: list[str]) -> Iterator[tuple[list[str], _Query]]:
        for start in range(0, len(wanted), batch.size):
            some = wanted[start : start + batch.size]
            body = {batch.wrapped_in: some} if batch.wrapped_in else some
            yield some, _Query("POST", self.service.batch_url(), body)

    def _answer_in(self, response: _Response, address: str) -> Location:
        if response.status in self.service.not_found_statuses:
            return self.location(address, reason=NOT_FOUND)
        return self._answer(address, self._decoded(response))

    def _put(
        self, answers: dict[str, Location], batch: Batch, addresses: list[str], response: _Response
    ) -> None:
        records = self._by_address(pick(self._decoded(response), batch.answers))
        for address in addresses:
            with suppress(ProviderError):
                answers[address] = self._answer(address, records.get(address))
        if answers.keys().isdisjoint(addresses):
            raise self.failure(MALFORMED)

    def _by_address(self, records: object) -> dict[str, Any]:
        if isinstance(records, dict):
            return {address_text(name): record for name, record in records.items()}
        listed = records if isinstance(records, list) else []
        return {address_text(pick(record, self.service.address)): record for record in listed}

    def _ask(self, query: _Query) -> _Response:
        method, url, body = query
        with self.faults_told():
            response = self.client().request(method, url, json=body, timeout=self.timeout_seconds)
            return self._accepted(_Response(response.status_code, response.content))

    async def _aask(self, client: BoundedClient, query: _Query, proxy: str | None) -> _Response:
        method, url, body = query
        with self.faults_told():
            async with client.session.request(
                method, exact_url(url), json=body, proxy=proxy
            ) as response:
                return self._accepted(_Response(response.status, await response.read()))

    def _accepted(self, response: _Response) -> _Response:
        if response.status not in (200, *self.service.not_found_statuses):
            raise self.status_failure(response.status)
        return response

    def _decoded(self, response: _Response) -> object:
        try:
            return json.loads(response.content)
        except (RecursionError, ValueError):
            raise self.failure(MALFORMED) from None

    def _answer(self, address: str, record: object) -> Location:
        """Return what one record says; one without anything that is mapped says nothing."""
        service = self.service
        if not isinstance(record, dict):
            raise self.failure(MALFORMED)
        named = pick(record, service.address) if service.address else address
        if named is not None and address_text(named) != address:
            raise self.failure("answers for another address")
        network = network_around(address, pick(record, service.path_of("network")))
        if any(_is_one_of(pick(record, path), value) for path, value in service.not_found.items()):
            return self.location(address, network=network, reason=NOT_FOUND)
        # Were that "not found", a service that renames its fields would empty the cache.
        if named is None or not any(has_path(record, path) for path in service.paths()):
            raise self.failure("answers without the fields that are mapped")
        found = self._fields(record)
        return self.location(address, network=network, **(found or {"reason": NOT_FOUND}))

    def _fields(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return what can be read; raise ``ProviderError`` where all that is there cannot be."""
        paths = {
            name: self.service.path_of(name) for name in self.service.fields if name in READERS
        }
        values = {
            name: pick(record, path) for name, path in paths.items() if has_path(record, path)
        }
        read = {name: READERS[name](value) for name, value in values.items()}
        self._put_shared(read, record)
        found = known(read, (value for name, value in values.items() if name not in POINT))
        # A path may be that of several fields, of which its value fills one.
        unread = {paths[name] for name, value in values.items() if is_unread(value)} - {
            paths[name] for name in paths if read.get(name) not in ("", None)
        }
        if unread and not found:
            raise self.failure(UNREAD)
        if unread and self._unread_throttle.is_due():
            log.warning("geo_fields_not_read", provider=self.name, fields=sorted(unread))
        return found

    def _put_shared(self, read: dict[str, Any], record: dict[str, Any]) -> None:
        """Put traits and details into what is read."""
        flags, others = (self.service.paths_of(name) for name in ("traits", "details"))
        put_traits(read, (label for label, path in flags.items() if is_true(pick(record, path))))
        details = {name: plain_value(pick(record, path)) for name, path in others.items()}
        put_details(read, {name: value for name, value in details.items() if value is not None})


def _is_one_of(value: object, given: object) -> bool:
    return value in given if isinstance(given, list | tuple) else value == given
