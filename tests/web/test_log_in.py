"""Where strangers are sent to log in, in projects that say it and in those that do not."""

from types import ModuleType
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.core.checks import run_checks
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path

from geocache.web.log_in import log_in_url
from tests.factories import use_dummy_provider
from tests.support.assertions import assert_is_page

pytestmark = pytest.mark.django_db

GEO = path("geo/", include("geocache.urls"))
ADMIN = path("ops/admin/", admin.site.urls)
OWN = path("sign-in/", lambda _: HttpResponse("own"), name="sign-in")
DEFAULT = "/accounts/login/"
DEFAULT_VIEW = path("accounts/login/", lambda _: HttpResponse("default"))
ADMIN_LOGIN = "/ops/admin/login/"


@pytest.fixture(autouse=True)
def provider(settings):
    use_dummy_provider(settings, answers={})


def use(settings, login_url, *patterns):
    module = ModuleType("a_project_urls")
    module.urlpatterns = list(patterns)
    settings.ROOT_URLCONF = module
    settings.LOGIN_URL = login_url


def warnings():
    return [one for one in run_checks() if one.id == "geocache.W060"]


@pytest.mark.parametrize(
    ("login_url", "patterns", "expected"),
    [
        # As the project says it: the name of an address, a path, a path of another program, a URL.
        ("sign-in", [GEO, ADMIN, OWN], "/sign-in/"),
        ("/sign-in/", [GEO, ADMIN, OWN], "/sign-in/"),
        ("/sign-in/?by=mail", [GEO, ADMIN, OWN], "/sign-in/?by=mail"),
        ("/another-program/", [GEO, ADMIN], "/another-program/"),
        ("https://sso.example.org/in", [GEO], "https://sso.example.org/in"),
        (DEFAULT, [GEO, ADMIN, DEFAULT_VIEW], DEFAULT),
        (DEFAULT, [GEO, ADMIN, *i18n_patterns(DEFAULT_VIEW)], DEFAULT),
        # Nothing is there, but the admin is.
        (DEFAULT, [GEO, ADMIN], ADMIN_LOGIN),
        ("no-such-name", [GEO, ADMIN], ADMIN_LOGIN),
        ("no:such:name", [GEO, ADMIN], ADMIN_LOGIN),
        # Nor is that.
        (DEFAULT, [GEO], ""),
        ("no-such-name", [GEO], ""),
    ],
)
def test_stranger__is_sent_where_one_logs_in(settings, client, login_url, patterns, expected):
    use(settings, login_url, *patterns)
    assert log_in_url() == expected
    response = client.get("/geo/addresses/?country=GB")
    if not expected:
        assert_is_page(response, 403)
        assert "LOGIN_URL" in response.text
        assert 'href=""' not in response.text
        return
    sent, wanted = urlsplit(response["Location"]), urlsplit(expected)
    assert (sent.netloc, sent.path) == (wanted.netloc, wanted.path)
    back = "/geo/addresses/?country=GB"
    given = parse_qs(sent.query)
    assert given.pop("next") == [f"http://testserver{back}" if wanted.netloc else back]
    assert given == parse_qs(wanted.query)


@pytest.mark.parametrize(
    ("login_url", "patterns", "is_warned"),
    [
        ("sign-in", [GEO, OWN], False),
        (DEFAULT, [GEO, ADMIN], False),
        ("https://sso.example.org/in", [GEO], False),
        (DEFAULT, [GEO], True),
        (DEFAULT, [path("<slug:shop>/geo/", include("geocache.urls"))], True),
        ("/another-program/", [GEO], True),
        # Without the pages nobody is asked to log in.
        (DEFAULT, [], False),
    ],
)
def test_check__says_that_nobody_can_log_in(settings, login_url, patterns, is_warned):
    use(settings, login_url, *patterns)
    found = warnings()
    assert bool(found) == is_warned
    for one in found:
        assert login_url in one.msg
        assert "\n" not in one.msg


@pytest.mark.parametrize("path_", ["//evil.example/geo/lists/", "/geo/lists/?next=//evil.example"])
def test_stranger__never_leaves_the_site_by_a_link(settings, path_):
    use(settings, DEFAULT, path("", include("geocache.urls")), GEO, ADMIN)
    response = Client().generic("GET", path_)
    if response.status_code == 302:
        sent = urlsplit(response["Location"])
        assert (sent.netloc, sent.path) == ("", ADMIN_LOGIN)
        (back,) = parse_qs(sent.query)["next"]
        assert back.startswith("/")
        assert not back.startswith("//")


def test_log_in__admin_leads_back_to_the_page(settings, client, django_user_model):
    use(settings, DEFAULT, GEO, ADMIN)
    django_user_model.objects.create_superuser("boss", password="boss")
    sent = client.get("/geo/lists/")["Location"]
    given = {"username": "boss", "password": "boss", "next": "/geo/lists/"}
    assert client.post(sent, given)["Location"] == "/geo/lists/"


def test_nav__leads_to_the_log_in_that_there_is(settings, client):
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    use(settings, DEFAULT, GEO, ADMIN)
    assert f'href="{ADMIN_LOGIN}"' in client.get("/geo/lookup/").text
    use(settings, DEFAULT, GEO)
    assert "Log in" not in client.get("/geo/lookup/").text
