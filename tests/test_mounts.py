"""The pages below each kind of prefix and namespace: every link and form of theirs is followed."""

from types import ModuleType
from urllib.parse import urljoin, urlsplit

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.admin.utils import quote as quoted
from django.contrib.auth.models import User
from django.test import Client
from django.urls import include, path, resolve, set_script_prefix, set_urlconf
from django.utils import timezone, translation

from geocache.journal.flush import flush_dirty
from geocache.management.commands import demo_geo
from geocache.mounts import api_url, page_url
from geocache.statistics.lists import count_due
from geocache.statistics.table import refresh_statistics
from tests.factories import LONDON, a_row, an_admin, use_dummy_provider
from tests.support.assertions import assert_valid_html
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db

GEO = include("geocache.urls")
ADMIN = path("admin/", admin.site.urls)


def nested(prefix, name, *patterns, namespace=None):
    """Return patterns below a prefix and a namespace of the project."""
    return path(prefix, include((list(patterns), name), namespace=namespace))


SET_UPS = {
    "plain": ("/", [path("", GEO)]),
    "prefix": ("/tools/geo/", [path("tools/geo/", GEO)]),
    "another namespace": (
        "/geo/",
        [path("geo/", include("geocache.urls", namespace="geography"))],
    ),
    "nested": ("/ops/geo/", [nested("ops/", "ops", path("geo/", GEO))]),
    "nested twice": (
        "/a/b/geo/",
        [nested("a/", "a", nested("b/", "b", path("geo/", GEO), namespace="other"))],
    ),
    "nested, in another namespace": (
        "/ops/geo/",
        [nested("ops/", "ops", path("geo/", include("geocache.urls", namespace="geography")))],
    ),
    "nested below a namespace of the same name": (
        "/ops/geo/",
        [nested("ops/", "geocache-site", path("geo/", GEO), namespace="geocache")],
    ),
    "first of two": (
        "/one/",
        [path("one/", GEO), path("two/", include("geocache.urls", namespace="second"))],
    ),
    "second of two": (
        "/two/",
        [path("one/", GEO), path("two/", include("geocache.urls", namespace="second"))],
    ),
    "nested beside plain": (
        "/ops/geo/",
        [path("geo/", GEO), nested("ops/", "ops", path("geo/", GEO))],
    ),
    "twice below one app": (
        "/b/geo/",
        [
            nested("a/", "ops", path("geo/", GEO), namespace="ops-a"),
            nested("b/", "ops", path("geo/", GEO), namespace="ops-b"),
        ],
    ),
    "a prefix that captures": ("/acme/geo/", [path("<slug:tenant>/geo/", GEO)]),
    "a namespace that captures": (
        "/acme/7/geo/",
        [nested("<slug:tenant>/<int:shop>/", "shop", path("geo/", GEO))],
    ),
    "values of the project": ("/geo/", [path("geo/", GEO, {"section": "geo"})]),
    "language": ("/de/geo/", i18n_patterns(path("geo/", GEO))),
    "language, nested": ("/de/ops/geo/", i18n_patterns(nested("ops/", "ops", path("geo/", GEO)))),
}


# Where the pages are found when no request tells: the first place, from the outside in.
FIRST = {"second of two": "/one/", "nested beside plain": "/geo/", "twice below one app": "/a/geo/"}
PAGES = {
    "dashboard",
    "lookup",
    "my_address",
    "addresses",
    "addresses_download",
    "address",
    "moves",
    "lists",
    "list",
    "import_now",
    "import_run",
}


@pytest.fixture
def urlconf(settings):
    """Return a function that makes some patterns those of the project."""

    def use(patterns):
        module = ModuleType("a_project_urls")
        module.urlpatterns = [ADMIN, *patterns]
        settings.ROOT_URLCONF = module

    settings.LOGIN_URL = "/accounts/login/"
    settings.SECURE_SSL_REDIRECT = False
    yield use
    set_script_prefix("/")
    translation.activate("en")


@pytest.fixture
def content(settings):
    """Fill each part of each page."""
    answers = {LONDON: {"country_code": "GB", "asn": 64500, "organization": "Test Networks"}}
    use_dummy_provider(settings, answers=answers)
    imported(LONDON, "5.6.7.0/24")
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": {"test": "/tmp/test.txt"}}
    flush_dirty()
    a_row(country_code="FR", city="Paris", resolved_at=timezone.now())
    refresh_statistics()
    count_due(timezone.now())


def links_of(response):
    """Return the addresses that a page leads to: of links and of what is sent with GET, of POST."""
    tree = assert_valid_html(response)
    got, posted = [], []
    for element in tree.iter():
        if element.tag in ("a", "{http://www.w3.org/2000/svg}a"):
            got.append(element.get("href") or element.get("{http://www.w3.org/1999/xlink}href"))
        elif element.tag == "form":
            where = posted if element.get("method", "get").lower() == "post" else got
            where.append(element.get("action", ""))
    return got, posted


def follow_all(client, start):
    """Open each page that can be reached, one of each view; return what was opened, by view."""
    opened, waiting = {}, [start]
    while waiting:
        url = waiting.pop()
        parts = urlsplit(url)
        match = resolve(parts.path)
        if match.view_name in opened or "django.contrib.admin" in match.func.__module__:
            continue
        if "admin" in match.namespaces:
            opened.setdefault(match.view_name, parts.path)
            continue
        response = client.get(url)
        assert response.status_code in (200, 302), (url, response.status_code)
        opened[match.view_name] = parts.path
        if response.status_code == 302:
            waiting.append(urljoin(url, response["Location"]))
        elif response["Content-Type"].startswith("text/html"):
            got, posted = links_of(response)
            assert None not in got, url
            assert "" not in got, url
            for one in posted:
                resolve(urlsplit(urljoin(url, one)).path)
                opened.setdefault(resolve(urlsplit(urljoin(url, one)).path).view_name, one)
            within = (urljoin(url, one) for one in got)
            waiting += [one for one in within if not urlsplit(one).netloc]
    return opened


@pytest.mark.usefixtures("content")
@pytest.mark.parametrize("set_up", SET_UPS)
def test_page__every_link_leads_to_a_page_of_the_same_mount(set_up, urlconf, client):
    prefix, patterns = SET_UPS[set_up]
    urlconf(patterns)
    client.force_login(an_admin())
    with translation.override("de" if prefix.startswith("/de/") else "en"):
        opened = follow_all(client, prefix)
    pages = {name.rpartition(":")[2]: at for name, at in opened.items() if "admin" not in name}
    assert pages.keys() == PAGES
    assert not [at for at in pages.values() if not at.startswith(prefix)]


@pytest.mark.usefixtures("content")
def test_page__links_below_a_script_name(urlconf, settings):
    settings.FORCE_SCRIPT_NAME = "/app"
    # As the handlers of WSGI and ASGI do; the test client has one of its own.
    set_script_prefix("/app/")
    urlconf([nested("ops/", "ops", path("geo/", GEO))])
    client = Client()
    client.force_login(an_admin())
    got, posted = links_of(client.get("/ops/geo/lookup/"))
    assert {"/app/ops/geo/", "/app/ops/geo/lookup/", "/app/ops/geo/lists/"} <= set(got)
    assert "/app/ops/geo/lookup/#answers" in posted
    assert client.get("/ops/geo/lookup/mine/").url.startswith("/app/ops/geo/lookup/")
    client.logout()
    sent = client.get("/ops/geo/lists/?x=1")
    assert sent.url == "/app/admin/login/?next=/app/ops/geo/lists/%3Fx%3D1"


@pytest.mark.parametrize("set_up", SET_UPS)
def test_page_url__from_the_admin_or_a_command(set_up, urlconf):
    prefix, patterns = SET_UPS[set_up]
    urlconf(patterns)
    with translation.override("de"):
        found = page_url("address", address=LONDON)
        if "captures" in set_up:
            # Nothing tells what its prefix is filled with.
            assert found == ""
        else:
            assert resolve(found).url_name == "address"
            assert found == f"{FIRST.get(set_up, prefix)}addresses/{LONDON}/"


def test_page_url__language_is_that_of_the_reader(urlconf):
    urlconf(i18n_patterns(path("geo/", GEO)))
    for language in ("de", "en"):
        with translation.override(language):
            assert page_url("lookup") == f"/{language}/geo/lookup/"


def test_page_url__urls_that_include_themselves(urlconf):
    module = ModuleType("recursive_urls")
    module.urlpatterns = [path("again/", include((module, "again")))]
    urlconf([path("loop/", include((module, "loop"))), path("geo/", GEO)])
    assert page_url("lookup") == "/geo/lookup/"


def test_page_url__request_for_other_urls(rf, urlconf):
    urlconf([path("geo/", GEO)])
    other = ModuleType("other_urls")
    other.urlpatterns = [nested("inner/", "inner", path("geo/", GEO))]
    assert page_url("lookup") == "/geo/lookup/"
    set_urlconf(other)
    try:
        assert page_url("lookup", rf.get("/")) == "/inner/geo/lookup/"
    finally:
        set_urlconf(None)


@pytest.mark.usefixtures("content")
def test_admin__has_no_dead_link_without_the_pages(urlconf, superuser):
    urlconf([])
    assert page_url("lookup") == api_url("api-lookup", address=LONDON) == ""
    index = superuser.get("/admin/")
    assert "Dashboard" not in index.text
    for url in ("/admin/geocache/geocache/", f"/admin/geocache/geocache/{quoted(LONDON)}/change/"):
        response = superuser.get(url)
        assert response.status_code == 200
        assert 'href=""' not in response.text
        assert "View on site" not in response.text


@pytest.mark.usefixtures("content")
def test_admin__links_into_a_namespace(urlconf, superuser):
    urlconf([nested("ops/", "ops", path("geo/", GEO))])
    assert 'href="/ops/geo/"' in superuser.get("/admin/").text
    page = superuser.get(f"/admin/geocache/geocache/{quoted(LONDON)}/change/").text
    assert f'href="/ops/geo/addresses/{LONDON}/"' in page


@pytest.mark.usefixtures("content")
def test_api__by_itself_outside_of_languages(urlconf, superuser):
    urlconf(
        [
            path("geo/api/", include("geocache.api.urls")),
            *i18n_patterns(path("geo/", include("geocache.web.urls"))),
        ]
    )
    response = superuser.get(f"/geo/api/lookup/{LONDON}")
    assert (response.status_code, response.json()["country_code"]) == (200, "GB")
    assert superuser.get("/geo/api/nothing").json()["error"]["code"] == "not_found"
    with translation.override("de"):
        assert api_url("api-lookup", address=LONDON) == f"/geo/api/lookup/{LONDON}"
        assert page_url("lookup") == "/de/geo/lookup/"


def test_api__is_shown_with_a_new_token(urlconf, superuser):
    urlconf([nested("ops/", "ops", path("geo/", GEO))])
    given = {"name": "a program", "user": User.objects.get().pk}
    response = superuser.post("/admin/geocache/apitoken/add/", given)
    assert "GET /ops/geo/api/lookup/192.0.2.1" in response.text


@pytest.mark.parametrize("url", ["/geo/", "/geo/lookup/", f"/geo/api/lookup/{LONDON}"])
def test_page__decides_itself_who_may_see_it(url, urlconf, settings, client):
    """Django's middleware would send a program with a token to a page to log in."""
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    use_dummy_provider(settings, answers={LONDON: {"country_code": "GB"}})
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    urlconf([path("geo/", GEO)])
    response = client.get(url, follow=True)
    assert response.status_code == 200
    assert "log" not in response.request["PATH_INFO"].replace("lookup", "")


def test_demo__names_the_pages_wherever_they_are(urlconf):
    urlconf([nested("ops/", "ops", path("geo/", GEO))])
    assert demo_geo.pages_on(8000) == [
        ("Dashboard", "http://127.0.0.1:8000/ops/geo/"),
        ("Look-up page", "http://127.0.0.1:8000/ops/geo/lookup/"),
        ("Admin", "http://127.0.0.1:8000/admin/"),
    ]
    urlconf([])
    assert demo_geo.pages_on(8000) == [("Admin", "http://127.0.0.1:8000/admin/")]
