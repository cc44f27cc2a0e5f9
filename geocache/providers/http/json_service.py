"""Answers from any service that speaks JSON over HTTP, read by a mapping in the settings."""

import json
from collections.abc import Iterable
from contextlib import suppress
from math import ceil
from typing import Any, Final

from geocache import extras
from geocache.exceptions import ProviderError
from geocache.location import NOT_FOUND, Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.providers.base import Source
from geocache.providers.coercion import POINT, address_text, known, network_around
from geocache.providers.http.base import MALFORMED, TIMEOUT_SECONDS, UNREAD, ServiceProvider
from geocache.providers.http.bounded_requests import bound
from geocache.providers.http.json_fields import READERS, has_path, is_unread, pick
from geocache.providers.http.json_presets import PRESETS, fitting_presets
from geocache.providers.http.json_schema import Batch, Service

with extras.needed("web"):
    import requests

log = get_logger(__name__)

# Raised when the same answers begin to be read differently: older ones are then stale.
RELEASE: Final = 2


class HttpJsonProvider(ServiceProvider[requests.Session]):
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

    def make_client(self) -> requests.Session:
        session = bound(requests.Session(), self.rest, self.timeout_seconds)
        # Anything here keeps requests from sending a password out of ~/.netrc.
        session.auth = lambda request: request
        session.headers["Accept"] = "application/json"
        session.headers.update(self.service.filled_headers())
        return session

    def resolve(self, address: str) -> Location:
        self.build()
        response = self._ask("GET", self.service.url_of(address))
        if response.status_code in self.service.not_found_statuses:
            return self.location(address, reason=NOT_FOUND)
        return self._answer(address, self._decoded(response))

    def request_count(self, count: int) -> int:
        return ceil(count / self.service.batch.size) if self.service.batch else count

    def resolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        wanted = list(addresses)
        batch = self.service.batch
        if batch is None or len(wanted) == 1:
            super().resolve_into(answers, wanted)
            return
        self.build()
        for start in range(0, len(wanted), batch.size):
            try:
                self._resolve_batch(answers, batch, wanted[start : start + batch.size])
            except ProviderError:
                if answers.keys().isdisjoint(wanted):
                    raise
                break

    def _resolve_batch(
        self, answers: dict[str, Location], batch: Batch, addresses: list[str]
    ) -> None:
        body = {batch.wrapped_in: addresses} if batch.wrapped_in else addresses
        response = self._ask("POST", self.service.batch_url(), body)
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

    def _ask(self, method: str, url: str, body: object = None) -> requests.Response:
        with self.faults_told():
            response = self.client().request(method, url, json=body, timeout=self.timeout_seconds)
        if response.status_code not in (200, *self.service.not_found_statuses):
            raise self.status_failure(response.status_code)
        return response

    def _decoded(self, response: requests.Response) -> object:
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
        network = network_around(address, pick(record, service.fields.get("network", "")))
        if any(_is_one_of(pick(record, path), value) for path, value in service.not_found.items()):
            return self.location(address, network=network, reason=NOT_FOUND)
        # Were that "not found", a service that renames its fields would empty the cache.
        if named is None or not any(has_path(record, path) for path in service.fields.values()):
            raise self.failure("answers without the fields that are mapped")
        found = self._fields(record)
        return self.location(address, network=network, **(found or {"reason": NOT_FOUND}))

    def _fields(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return what can be read; raise ``ProviderError`` where all that is there cannot be."""
        paths = {name: path for name, path in self.service.fields.items() if name in READERS}
        values = {
            name: pick(record, path) for name, path in paths.items() if has_path(record, path)
        }
        read = {name: READERS[name](value) for name, value in values.items()}
        found = known(read, (value for name, value in values.items() if name not in POINT))
        # A path may be that of several fields, of which its value fills one.
        unread = {paths[name] for name, value in values.items() if is_unread(value)} - {
            paths[name] for name, value in read.items() if value not in ("", None)
        }
        if unread and not found:
            raise self.failure(UNREAD)
        if unread and self._unread_throttle.is_due():
            log.warning("geo_fields_not_read", provider=self.name, fields=sorted(unread))
        return found


def _is_one_of(value: object, given: object) -> bool:
    return value in given if isinstance(given, list | tuple) else value == given
