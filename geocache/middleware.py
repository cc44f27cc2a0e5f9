"""``request.geo``: where the visitor is, found out when it is first read."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from geocache.client_ip import address_of
from geocache.location import UNAVAILABLE, Location
from geocache.lookup import alookup, lookup


class GeoMiddleware:
    """Give each request ``geo``, a lazy ``Location``, and ``ageo()`` for async views.

    The answer is looked up once a request, and not at all when nobody reads it. It is false when
    nothing is known, also when the visitor's address cannot be told (``address`` is then empty).
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        # One body for both: there is nothing to wait for, so that no thread is needed.
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        request.geo = SimpleLazyObject(partial(_geo, request))
        request.ageo = partial(_ageo, request)
        return self.get_response(request)


def _geo(request: Any) -> Location:
    if not hasattr(request, "_geo"):
        address = address_of(request)
        request._geo = lookup(address) if address else _nowhere()
    found: Location = request._geo
    return found


async def _ageo(request: Any) -> Location:
    if not hasattr(request, "_geo"):
        address = address_of(request)
        request._geo = await alookup(address) if address else _nowhere()
    found: Location = request._geo
    return found


def _nowhere() -> Location:
    return Location(address="", resolved_at=datetime.now(UTC), reason=UNAVAILABLE)
