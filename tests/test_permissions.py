"""Every address of the app beside every permission: what each is open to."""

from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Permission, PermissionsMixin, User
from django.test import Client
from django.urls import get_resolver

from geocache.models import ImportRun, ImportSource
from geocache.permissions import VIEW_ADDRESSES, missing
from geocache.urls import app_name
from tests.factories import LONDON, NOON, a_row, a_token
from tests.support.assertions import assert_is_page

pytestmark = pytest.mark.django_db

# Each address of geocache.urls by its name: how it is asked for, and what one has to have.
PAGES = {
    "dashboard": ("get", "/", ["view_geocache"]),
    "lookup": ("get", f"/lookup/?ip={LONDON}", ["view_geocache"]),
    "my_address": ("get", "/lookup/mine/", ["view_geocache"]),
    "addresses": ("get", "/addresses/", ["view_geocache"]),
    "addresses_download": ("get", "/addresses/download.csv", ["view_geocache"]),
    "address": ("get", f"/addresses/{LONDON}/", ["view_geocache"]),
    "moves": ("get", "/moves/", ["view_answerhistory"]),
    "lists": ("get", "/lists/", ["view_importsource"]),
    "list": ("get", "/lists/1/", ["view_importsource", "view_listedaddress"]),
    "import_now": ("post", "/lists/1/import/", ["change_importsource"]),
    "import_run": ("get", "/lists/imports/1/", ["view_importsource", "view_listedaddress"]),
    "api-lookup": ("get", f"/api/lookup/{LONDON}", ["view_geocache"]),
    "api-lookup-several": ("post", "/api/lookup", ["view_geocache"]),
}
# It says nothing of this site: tests/api.
OPEN = ("api-openapi",)
# Programs ask these: tests/health/test_views.py, tests/metrics/test_views.py.
PROBES = ("health-live", "health-ready", "metrics")
# And what the admin has besides: its own lists ask for the permission of their model.
ADMIN = "/admin/geocache/geocache/"
ADMIN_EXTRAS = {
    "flush": ("post", f"{ADMIN}flush/", ["change_geocache"]),
    "forget": ("post", f"{ADMIN}forget/", ["delete_geocache"]),
    "export": ("get", f"{ADMIN}export/", ["view_geocache"]),
}
ALL = PAGES | ADMIN_EXTRAS
VIEWED = ("geocache", "answerhistory", "importsource", "listedaddress", "rejectedentry", "flushrun")


@pytest.fixture(autouse=True)
def content(override_locations):
    override_locations({LONDON: {"country_code": "GB"}})
    a_row()
    source = ImportSource.objects.create(pk=1, name="ipsum")
    ImportRun.objects.create(pk=1, source=source, started_at=NOON)


def a_user(*codenames: str, is_staff: bool = True) -> User:
    user = User.objects.create_user("clerk", password="clerk", is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def status_of(client: Client, name: str) -> int:
    method, url, _ = ALL[name]
    body = {"data": {"addresses": [LONDON]}} if method == "post" else {}
    kind = {"content_type": "application/json"} if name == "api-lookup-several" else {}
    return getattr(client, method)(url, **body, **kind).status_code


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_pages__are_all_of_the_urls():
    found = get_resolver("geocache.urls").reverse_dict
    assert {name for name in found if isinstance(name, str)} == {*PAGES, *PROBES, *OPEN}, app_name
    extra = {
        pattern.name.rpartition("_")[2]
        for pattern in site.get_model_admin(
            ImportSource._meta.apps.get_model("geocache.geocache")
        ).get_urls()
        if pattern.name
    }
    assert extra - {"changelist", "add", "history", "delete", "change"} == set(ADMIN_EXTRAS)


@pytest.mark.parametrize("name", ALL)
def test_permission__staff_without_any_is_refused(name):
    assert status_of(logged_in(a_user()), name) == 403


@pytest.mark.parametrize("name", ALL)
def test_permission__all_others_are_not_enough(name):
    wanted = ALL[name][2]
    for lacking in wanted:
        given = Permission.objects.filter(content_type__app_label="geocache")
        # In Django's admin who may change rows may view them.
        stronger = lacking.replace("view_", "change_")
        others = given.exclude(codename__in=[lacking, stronger]).values_list("codename", flat=True)
        user = a_user(*others)
        assert status_of(logged_in(user), name) == 403, lacking
        user.delete()


@pytest.mark.parametrize("name", ALL)
def test_permission__its_own_is_enough(name):
    assert status_of(logged_in(a_user(*ALL[name][2])), name) in (200, 302)


@pytest.mark.parametrize("name", PAGES)
def test_permission__is_enough_for_who_is_not_staff(name):
    assert status_of(logged_in(a_user(*PAGES[name][2], is_staff=False)), name) in (200, 302)


@pytest.mark.parametrize("name", PAGES)
def test_permission__who_is_not_staff_is_refused_without_it(name):
    assert status_of(logged_in(a_user(is_staff=False)), name) == 403


def test_permission__is_asked_of_the_backends_of_the_project(settings):
    settings.AUTHENTICATION_BACKENDS = [
        *settings.AUTHENTICATION_BACKENDS,
        "tests.test_permissions.OperatorsSeeAll",
    ]
    user = a_user(is_staff=False)
    assert status_of(logged_in(user), "addresses") == 403
    user.email = "clerk@operators.example.org"
    user.save()
    for name in ("addresses", "api-lookup", "lists"):
        assert status_of(logged_in(user), name) == 200, name


class OperatorsSeeAll:
    """How a project with ideas of its own decides: with a backend, as for all of Django."""

    def has_perm(self, user_obj, perm, obj=None):  # noqa: ARG002 - Django's signature
        return ".view_" in perm and user_obj.email.endswith("@operators.example.org")


def test_permission__who_is_not_staff_has_no_links_to_the_admin():
    client = logged_in(a_user(*(f"view_{name}" for name in VIEWED), is_staff=False))
    for url in ("/", f"/addresses/{LONDON}/", "/lists/1/"):
        response = client.get(url)
        assert_is_page(response)
        assert 'href="/admin/' not in response.text, url


def test_permission__a_model_of_users_without_permissions_has_none():
    assert missing(object(), VIEW_ADDRESSES) == [VIEW_ADDRESSES]


@pytest.mark.parametrize("name", ALL)
def test_permission__anonymous_is_asked_to_log_in(name):
    assert status_of(Client(), name) == (401 if name.startswith("api") else 302)


@pytest.mark.parametrize("is_staff", [True, False])
@pytest.mark.parametrize(("codenames", "status"), [((), 403), (("view_geocache",), 200)])
def test_permission__holder_of_a_token_needs_it(codenames, status, is_staff):
    token = a_token(a_user(*codenames, is_staff=is_staff))
    program = Client(headers={"Authorization": f"Bearer {token}"})
    response = program.get(f"/api/lookup/{LONDON}")
    assert response.status_code == status
    if status == 403:
        assert "geocache.view_geocache" in response.json()["error"]["message"]


def test_permission__page_says_which_is_missing():
    response = logged_in(a_user("view_importsource")).get("/lists/1/")
    assert_is_page(response, 403)
    assert "geocache.view_listedaddress" in response.text
    assert "geocache.view_importsource" not in response.text


@pytest.mark.parametrize(
    ("codename", "shown"),
    [
        ("view_geocache", {"/", "/lookup/", "/addresses/"}),
        ("view_answerhistory", {"/lookup/", "/moves/"}),
        ("view_importsource", {"/lookup/", "/lists/"}),
    ],
)
def test_nav__hides_what_one_may_not_open(codename, shown, settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    text = logged_in(a_user(codename)).get("/lookup/").text
    nav = text.partition("<nav")[2].partition("</nav>")[0]
    urls = {"/", "/lookup/", "/addresses/", "/moves/", "/lists/"}
    assert {url for url in urls if f'href="{url}"' in nav} == shown


def test_address_page__leaves_out_what_one_may_not_see(django_assert_max_num_queries):
    client = logged_in(a_user("view_geocache"))
    with django_assert_max_num_queries(10):
        text = client.get(f"/addresses/{LONDON}/").text
    assert "Where it was" not in text
    assert "First resolved at" in text


@pytest.fixture
def without_log_in(settings: Any) -> None:
    needing = ("auth.middleware", "axes", "messages")
    settings.MIDDLEWARE = [
        one for one in settings.MIDDLEWARE if not any(part in one for part in needing)
    ]


@pytest.mark.usefixtures("without_log_in")
def test_project_without_log_in__is_one_of_strangers(client: Client, settings: Any) -> None:
    statuses = {name: status_of(client, name) for name in PAGES}
    assert set(statuses.values()) == {302, 401}
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    assert status_of(client, "lookup") == status_of(client, "api-lookup") == 200


@pytest.mark.usefixtures("without_log_in")
def test_project_without_log_in__has_tokens(client: Client) -> None:
    headers = {"Authorization": f"Bearer {a_token(a_user('view_geocache'))}"}
    assert client.get(PAGES["api-lookup"][1], headers=headers).status_code == 200


def test_user__of_a_model_that_has_only_has_perm(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the custom model of users in Django's own documentation.
    monkeypatch.delattr(PermissionsMixin, "has_perms")
    client.force_login(a_user(*(name for _, _, names in PAGES.values() for name in names)))
    for name, (method, url, _) in PAGES.items():
        if method == "get":
            assert client.get(url).status_code in (200, 302), name
