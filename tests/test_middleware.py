import subprocess
import sys

import pytest
from asgiref.sync import SyncToAsync, async_to_sync, iscoroutinefunction
from django.core.cache import caches
from django.http import HttpResponse
from django.middleware.cache import FetchFromCacheMiddleware, UpdateCacheMiddleware
from django.test import AsyncClient, AsyncRequestFactory
from django.urls import path
from django.utils import timezone

from geocache.location import Location
from geocache.lookup import lookup
from geocache.middleware import GeoMiddleware, TimeZoneMiddleware
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


TOKYO = "81.2.69.160"


@pytest.fixture
def zones(override_locations):
    return override_locations(
        {LONDON: {"time_zone": "Europe/London"}, TOKYO: {"time_zone": "Asia/Tokyo"}}
    )


def zone_name(_):
    return HttpResponse(timezone.get_current_timezone_name())


async def azone_name(request):
    return zone_name(request)


def in_zone(rf, address, view=zone_name):
    return GeoMiddleware(TimeZoneMiddleware(view))(rf.get("/", REMOTE_ADDR=address)).text


def in_zone_async(address, view=azone_name):
    request = AsyncRequestFactory().get("/")
    request.META["REMOTE_ADDR"] = address
    middleware = GeoMiddleware(TimeZoneMiddleware(view))
    assert iscoroutinefunction(middleware)
    return async_to_sync(middleware)(request).text


@pytest.mark.usefixtures("zones")
def test_time_zone_middleware__activates_the_visitors_zone_for_the_request(rf):
    assert in_zone(rf, TOKYO) == in_zone_async(TOKYO) == "Asia/Tokyo"
    assert timezone.get_current_timezone_name() == "UTC"
    assert in_zone(rf, LONDON) == "Europe/London"


@pytest.mark.usefixtures("zones")
@pytest.mark.parametrize("address", ["10.0.0.1", "", "nonsense", "8.8.8.8"])
def test_time_zone_middleware__unknown_is_the_projects_own(rf, address):
    assert in_zone(rf, address) == in_zone_async(address) == "UTC"


@pytest.mark.usefixtures("zones")
def test_time_zone_middleware__deactivates_after_an_error(rf):
    def fail(_):
        raise ZeroDivisionError

    async def afail(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_zone(rf, TOKYO, fail)
    with pytest.raises(ZeroDivisionError):
        in_zone_async(TOKYO, afail)
    assert timezone.get_current_timezone_name() == "UTC"


@pytest.mark.usefixtures("zones")
def test_time_zone_middleware__the_zone_that_the_project_activates_wins(rf):
    def chosen(request):
        timezone.activate("America/Lima")
        return zone_name(request)

    assert in_zone(rf, TOKYO, chosen) == "America/Lima"
    assert timezone.get_current_timezone_name() == "UTC"
    with timezone.override("America/Lima"):
        assert in_zone(rf, TOKYO) == in_zone_async(TOKYO) == "America/Lima"
        assert timezone.get_current_timezone_name() == "America/Lima"


@pytest.mark.django_db
def test_time_zone_middleware__a_known_address_costs_no_query(rf, zones, django_assert_num_queries):
    lookup(TOKYO)
    with django_assert_num_queries(0):
        assert in_zone(rf, TOKYO) == "Asia/Tokyo"
    assert zones.looked_up == [TOKYO]


def test_time_zone_middleware__without_geo_middleware_does_nothing(rf):
    request = rf.get("/", REMOTE_ADDR=TOKYO)
    assert TimeZoneMiddleware(zone_name)(request).text == "UTC"


@pytest.mark.usefixtures("zones")
def test_time_zone_middleware__cached_pages_are_those_of_the_zone(rf, settings):
    settings.CACHES = {
        **settings.CACHES,
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": "zones",
        },
    }
    caches["default"].clear()
    site = UpdateCacheMiddleware(FetchFromCacheMiddleware(zone_name))
    for _ in range(2):
        assert in_zone(rf, TOKYO, site) == "Asia/Tokyo"
        assert in_zone(rf, LONDON, site) == "Europe/London"
        assert in_zone(rf, "10.0.0.1", site) == "UTC"


VIEWS = """
from django.http import HttpResponse
from geocache.location import Location, LocationDict
from geocache.middleware import GeoHttpRequest

def view(request: GeoHttpRequest) -> HttpResponse:
    plain: LocationDict = request.geo.to_plain()
    city: str = plain["city"]
    return HttpResponse(request.geo.country_name + city + request.headers["Accept"])

async def aview(request: GeoHttpRequest) -> HttpResponse:
    place: Location = await request.ageo()
    return HttpResponse(place.flag)
"""
WRONG = """
def wrong(request: GeoHttpRequest) -> HttpResponse:
    return HttpResponse(request.geo.town + request.geo.to_plain()["town"])
"""


@pytest.mark.slow
def test_geo_http_request__views_of_a_host_are_typed(tmp_path):
    (tmp_path / "views.py").write_text(VIEWS + WRONG)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    command = [sys.executable, "-m", "mypy", "--cache-dir", tmp_path / "cache", "views.py"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert [
        line.partition(" error: ")[2].partition("  ")[0] for line in said.splitlines()[:-1]
    ] == [
        '"Location" has no attribute "town"',
        'TypedDict "LocationDict" has no key "town"',
    ]
