"""Two pages that differ in one thing: one of them knows where the address is."""

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

from geocache.lookup import lookup

PAGE = engines["django"].from_string(
    "<html><body><h1>{{ ip }}</h1><p>{{ place.city }} {{ place.country_code }}</p>"
    "<ul>{% for n in numbers %}<li>{{ n }}{% endfor %}</ul></body></html>"
)


def plain(request: HttpRequest) -> HttpResponse:
    return _page(request, None)


def located(request: HttpRequest) -> HttpResponse:
    return _page(request, lookup(request.GET["ip"]))


def _page(request: HttpRequest, place: object) -> HttpResponse:
    context = {"ip": request.GET["ip"], "place": place, "numbers": range(50)}
    return HttpResponse(PAGE.render(context, request))


urlpatterns = [path("plain/", plain), path("located/", located)]
