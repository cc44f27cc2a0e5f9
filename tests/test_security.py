"""What every page sends along, and what hostile names of a provider become on it."""

import json
from datetime import UTC, datetime
from html import escape
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.urls import get_resolver, reverse

from geocache.journal.flush import flush_dirty
from geocache.journal.recorder import record
from geocache.lookup import lookup
from geocache.models import AnswerHistory, FlushRun, RejectedEntry
from tests.factories import ASN_RECORD, CITY_RECORD, LONDON, a_location, a_token, an_admin, an_mmdb
from tests.support.assertions import assert_no_inline_code, assert_valid_html

pytestmark = [pytest.mark.any_services, pytest.mark.django_db]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
ADMIN_PAGES = [
    "/admin/",
    "/admin/geocache/",
    "/admin/geocache/geocache/",
    f"/admin/geocache/geocache/?q={LONDON}",
    f"/admin/geocache/geocache/{LONDON}/change/",
    "/admin/geocache/answerhistory/",
    "/admin/geocache/flushrun/",
    "/admin/geocache/rejectedentry/",
    "/admin/geocache/importsource/",
    "/admin/geocache/importrun/",
    "/admin/geocache/listedaddress/",
    "/admin/geocache/ban/",
    "/admin/geocache/settingoverride/",
    "/admin/geocache/settingoverride/NEVER_BAN/change/",
    "/admin/geocache/apitoken/",
    "/admin/geocache/apitoken/add/",
]


def ours() -> list[str]:
    """Return geocache's own pages, those of later releases too, that need no argument."""
    found = get_resolver("geocache.urls").reverse_dict
    # JSON is not shown as a page.
    others = ("api-", "health-")
    names = [name for name in found if isinstance(name, str) and not name.startswith(others)]
    needed = {name: found.getlist(name)[0][0][0][1] for name in names}
    return [reverse(f"geocache:{name}") for name in names if not needed[name]]


PAGES = [*ours(), f"/lookup/?ip={LONDON}", *ADMIN_PAGES]


@pytest.fixture(scope="module")
def hostile_databases(tmp_path_factory):
    """Databases whose every name is hostile: one file each, as each is verified by a process."""
    folder = tmp_path_factory.mktemp("hostile")
    place: Any = json.loads(json.dumps(CITY_RECORD))
    place["city"]["names"] = place["subdivisions"][0]["names"] = {"en": HOSTILE}
    place["postal"]["code"] = place["location"]["time_zone"] = HOSTILE
    operator = {**ASN_RECORD, "autonomous_system_organization": HOSTILE}
    return [
        an_mmdb(folder / "city.mmdb", {"81.2.69.0/24": place}),
        an_mmdb(folder / "asn.mmdb", {"81.2.69.0/24": operator}, database_type="GeoLite2-ASN"),
    ]


@pytest.fixture
def hostile(settings, hostile_databases, client):
    """A hostile answer in the table, and an admin."""
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": hostile_databases}
    assert lookup(LONDON).organization == HOSTILE
    flush_dirty(10)
    record([a_location(resolved_at=datetime.now(UTC), city=f"Other {HOSTILE}")])
    flush_dirty(10)
    assert AnswerHistory.objects.get().city == HOSTILE
    RejectedEntry.objects.create(address=LONDON, record=HOSTILE, error=HOSTILE)
    FlushRun.objects.update(error=HOSTILE)
    admin = an_admin()
    a_token(admin, HOSTILE[:100])
    client.force_login(admin)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_hostile_names__are_text_on_every_page(hostile, page):
    response = hostile.get(page)
    assert response.status_code in (200, 302)
    text = response.content.decode()
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    is_page = response.status_code == 200 and response["Content-Type"].startswith("text/html")
    if is_page and not page.startswith("/admin/"):
        assert_no_inline_code(assert_valid_html(response))


def test_hostile_names__are_shown_not_dropped(hostile):
    for page in (f"/lookup/?ip={LONDON}", "/moves/", "/admin/geocache/geocache/"):
        assert escape(HOSTILE) in hostile.get(page).text


def test_hostile_names__are_data_in_json(hostile):
    response = hostile.get(f"/api/lookup/{LONDON}")
    assert response["Content-Type"] == "application/json"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response.json()["city"] == HOSTILE


@pytest.mark.parametrize("page", [*PAGES, "/login/", "/admin/login/", "/nothing/", "/api/x"])
def test_headers__of_every_page(hostile, page):
    response = hostile.get(page)
    policy = dict(
        directive.strip().partition(" ")[::2]
        for directive in response["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in response["Content-Security-Policy"]
    assert "http" not in response["Content-Security-Policy"]
    assert response["Referrer-Policy"] == "same-origin"
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_pages__are_all_of_the_admin():
    """A model that is new in the admin has to be in the list above."""
    models = apps.get_app_config("geocache").get_models()
    listed = {model._meta.model_name for model in models if site.is_registered(model)}
    assert listed == {page.split("/")[3] for page in ADMIN_PAGES if page.count("/") > 3}
