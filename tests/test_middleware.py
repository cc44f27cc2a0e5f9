import pytest
from asgiref.sync import SyncToAsync, async_to_sync, iscoroutinefunction
from django.http import HttpResponse
from django.test import AsyncClient, AsyncRequestFactory
from django.urls import path

from geocache.location import Location
from geocache.lookup import lookup
from geocache.middleware import GeoMiddleware
from tests.factories import LONDON, a_location


@pytest.fixture(autouse=True)
def places(override_locations):
    return override_locations({LONDON: {"country_code": "GB"}})


async def country(request):
    return HttpResponse((await request.ageo()).country_code)


urlpatterns = [path("", country)]


def through(view, request):
    return GeoMiddleware(view)(request)


def test_geo_middleware__resolves_only_what_is_read(rf, places):
    through(lambda _: HttpResponse(), rf.get("/", REMOTE_ADDR=LONDON))
    assert places.looked_up == []


def test_geo_middleware__is_a_location(rf):
    request = rf.get("/", REMOTE_ADDR=LONDON)
    through(lambda _: HttpResponse(), request)
    assert request.geo
    assert isinstance(request.geo, Location)
    assert request.geo.country_code == "GB"


def test_geo_middleware__asks_once_a_request(rf, monkeypatch):
    asked = []

    def count(address):
        asked.append(address)
        return a_location(address)

    monkeypatch.setattr("geocache.middleware.lookup", count)
    request = rf.get("/", REMOTE_ADDR=LONDON)
    through(lambda _: HttpResponse(), request)
    for _ in range(3):
        assert request.geo.city == "London"
    assert async_to_sync(request.ageo)().city == "London"
    assert asked == [LONDON]


@pytest.mark.parametrize("address", ["", "nonsense", "10.0.0.1"])
def test_geo_middleware__nothing_known_is_false_and_no_error(rf, address):
    request = rf.get("/", REMOTE_ADDR=address)
    through(lambda _: HttpResponse(), request)
    assert not request.geo
    assert request.geo.reason
    assert not async_to_sync(request.ageo)()


def test_geo_middleware__async_answers_a_known_address_without_a_thread(monkeypatch):
    lookup(LONDON)
    hops = []
    monkeypatch.setattr(SyncToAsync, "__call__", lambda *asked: hops.append(asked))

    async def view(request):
        place = await request.ageo()
        return HttpResponse(place.country_code + request.geo.country_code)

    middleware = GeoMiddleware(view)
    assert iscoroutinefunction(middleware)
    request = AsyncRequestFactory().get("/")
    request.META["REMOTE_ADDR"] = LONDON
    assert async_to_sync(middleware)(request).text == "GBGB"
    assert hops == []


@pytest.mark.django_db
@pytest.mark.urls("tests.test_middleware")
def test_geo_middleware__under_asgi(settings):
    settings.MIDDLEWARE = ["geocache.middleware.GeoMiddleware"]
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["127.0.0.1"]}
    headers = {"x-forwarded-for": LONDON}
    assert async_to_sync(AsyncClient().get)("/", headers=headers).text == "GB"


@pytest.mark.django_db
@pytest.mark.urls("tests.test_middleware")
def test_geo_middleware__under_asgi_by_a_callable_of_the_project(settings):
    settings.MIDDLEWARE = ["geocache.middleware.GeoMiddleware"]
    settings.GEOCACHE = {**settings.GEOCACHE, "VISITOR_ADDRESS": "tests.support.visitors.told"}
    assert async_to_sync(AsyncClient().get)("/", headers={"told": f"{LONDON}:80"}).text == "GB"


def test_geo_middleware__sync_stays_sync(rf):
    middleware = GeoMiddleware(lambda _: HttpResponse())
    assert not iscoroutinefunction(middleware)
    assert middleware(rf.get("/")).status_code == 200


def test_geo_middleware__asks_for_the_visitor_behind_a_proxy(rf, settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["10.0.0.0/8"]}
    request = rf.get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=f"1.1.1.1, {LONDON}")
    through(lambda _: HttpResponse(), request)
    assert request.geo.address == LONDON
