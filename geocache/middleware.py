"""``request.geo``: where the visitor is, found out when it is first read; and the zone there."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from geocache.client_ip import address_of
from geocache.edge import Said, said_of
from geocache.location import UNAVAILABLE, Location
from geocache.lookup import alookup, lookup


class GeoHttpRequest(HttpRequest):
    """A request with what ``GeoMiddleware`` gives it: for the annotations of views."""

    geo: Location
    ageo: Callable[[], Awaitable[Location]]


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


class TimeZoneMiddleware:
    """Show moments in the time zone of the visitor, if it is known, while a request is answered.

    After ``GeoMiddleware``, and before all that may activate a zone which the visitor has chosen:
    that one wins. So does a zone that is active already. What is streamed is made afterwards.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self.is_async:
            return self.answer(request)
        zone = request.geo.zone_info if _is_zone_wanted(request) else None
        if zone is None:
            return self.get_response(request)
        with timezone.override(zone):
            return self.get_response(request)

    async def answer(self, request: Any) -> Any:
        """Answer without blocking the event loop."""
        zone = (await request.ageo()).zone_info if _is_zone_wanted(request) else None
        if zone is None:
            return await self.get_response(request)
        with timezone.override(zone):
            return await self.get_response(request)


def _is_zone_wanted(request: Any) -> bool:
    """Tell whether the visitor is known, and no other zone than the project's own is active."""
    is_default = timezone.get_current_timezone() == timezone.get_default_timezone()
    return is_default and hasattr(request, "ageo")


def _geo(request: Any) -> Location:
    if not hasattr(request, "_geo"):
        address = address_of(request)
        said = said_of(request, address)
        if said is not None and said.is_alone:
            request._geo = said.alone()
        else:
            request._geo = _completed(lookup(address) if address else _nowhere(), said)
    found: Location = request._geo
    return found


async def _ageo(request: Any) -> Location:
    if not hasattr(request, "_geo"):
        address = address_of(request)
        said = said_of(request, address)
        if said is not None and said.is_alone:
            request._geo = said.alone()
        else:
            request._geo = _completed(await alookup(address) if address else _nowhere(), said)
    found: Location = request._geo
    return found


def _completed(found: Location, said: Said | None) -> Location:
    return found if said is None else said.merged(found)


def _nowhere() -> Location:
    return Location(address="", resolved_at=datetime.now(UTC), reason=UNAVAILABLE)
