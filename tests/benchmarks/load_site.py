"""Pages that differ in one thing: one of two knows where the visitor is."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

from geocache.client_ip import address_of

PAGE = engines["django"].from_string(
    "<html><body><h1>{{ ip }}</h1><p>{{ place.city }} {{ place.country_code }}</p>"
    "<ul>{% for n in numbers %}<li>{{ n }}{% endfor %}</ul></body></html>"
)


def plain(request: HttpRequest) -> HttpResponse:
    return _page(request, None)


def located(request: Any) -> HttpResponse:
    return _page(request, request.geo)


async def aplain(request: HttpRequest) -> HttpResponse:
    return _page(request, None)


async def alocated(request: Any) -> HttpResponse:
    return _page(request, await request.ageo())


def _page(request: HttpRequest, place: object) -> HttpResponse:
    context = {"ip": address_of(request), "place": place, "numbers": range(50)}
    return HttpResponse(PAGE.render(context, request))


urlpatterns = [
    path("plain/", plain),
    path("located/", located),
    path("aplain/", aplain),
    path("alocated/", alocated),
]
