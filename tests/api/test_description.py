import json
import re

import pytest
from django.test import Client
from django.urls import include, path

from geocache import __version__
from geocache.api import fields, schemas
from geocache.api.description import components, describe
from geocache.api.errors import KINDS
from geocache.api.operations import OPERATIONS
from geocache.history.spans import SpanDict
from geocache.location import LocationDict, SubdivisionDict
from tests.factories import LONDON, a_row, use_dummy_provider
from tests.support.assertions import no_database_write
from tests.support.processes import ROOT

URL = "/api/openapi.json"
PAGE = (ROOT / "docs/api.md").read_text()
urlpatterns = [
    path("<slug:shop>/geo/", include("geocache.urls")),
    path("by-itself/", include("geocache.api.urls")),
]


def walk(value):
    yield value
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from walk(one)


# --- served ----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_openapi__is_for_everybody_and_may_be_kept(client):
    with no_database_write(max_queries=0):
        response = client.get(URL)
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert set(response["Cache-Control"].split(", ")) == {"public", "max-age=300"}
    assert "Cookie" not in response.get("Vary", "")
    said = response.json()
    assert (said["openapi"], said["info"]["version"]) == ("3.1.0", __version__)
    again = client.get(URL, headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head(URL).status_code == 200


def test_openapi__other_methods_are_405():
    for method in ("post", "put", "delete", "options"):
        response = getattr(Client(enforce_csrf_checks=True), method)(URL)
        assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
        assert response.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.urls("tests.api.test_description")
@pytest.mark.parametrize("mount", ["/books/geo/api", "/by-itself"])
def test_openapi__names_the_place_where_it_was_asked_for(client, mount):
    assert client.get(f"{mount}/openapi.json").json()["servers"] == [{"url": mount}]


def test_openapi__of_the_site_itself():
    assert describe("")["servers"] == [{"url": "/"}]


def test_openapi__is_named_where_nothing_is(client):
    assert "api/openapi.json" in client.get("/api/x").json()["error"]["message"]


# --- what it says ----------------------------------------------------------------------------


def test_components__have_the_fields_of_the_answers():
    named = components()
    assert set(fields.LOCATION) == set(LocationDict.__annotations__)
    answer, past = named["Answer"], named["PastAnswer"]
    optional = {"country_name", "continent_name"}
    assert set(answer["properties"]) == {*LocationDict.__annotations__, "credit", *optional}
    assert set(answer["required"]) == set(answer["properties"]) - optional
    assert set(past["properties"]) == {*answer["properties"], *SpanDict.__annotations__, "on"}
    assert set(named["Subdivision"]["properties"]) == set(SubdivisionDict.__annotations__)


def test_components__describe_every_field():
    for name, schema in components().items():
        assert schema["description"].endswith("."), name
        for field, described in schema["properties"].items():
            assert described["description"].endswith("."), (name, field)


def test_table_of_fields__describes_nothing_else():
    every = {field for schema in components().values() for field in schema["properties"]}
    assert set(fields.FIELDS) == every
    assert len(fields.FIELDS) == sum(map(len, (fields.LOCATION, fields.SPAN, fields.OTHER)))


def test_components__are_all_referred_to():
    text = json.dumps(describe(""))
    referred = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert (
        referred
        == set(components())
        == {
            *(kind.__name__ for kind in schemas.ALL),
            "Subdivision",
        }
    )


def test_components__bound_what_may_be_sent():
    assert components()["LookupRequest"]["properties"]["addresses"]["maxItems"] == 1000


def test_codes__are_those_of_the_operations_and_of_no_path():
    assert set(KINDS) - {code for one in OPERATIONS for code in one.codes} == {"not_found"}
    assert set(components()["Problem"]["properties"]["code"]["enum"]) == set(KINDS)


def test_responses__have_every_status_and_its_headers():
    paths = describe("")["paths"]
    get, post = paths["/lookup/{address}"]["get"], paths["/lookup"]["post"]
    statuses = " ".join(get["responses"]), " ".join(post["responses"])
    assert statuses == (
        "200 304 400 401 403 404 405 413 429 503",
        "200 400 401 403 405 413 415 429 503",
    )
    for status, names in [
        ("401", {"WWW-Authenticate"}),
        ("405", {"Allow"}),
        ("415", {"Accept", "Accept-Encoding"}),
        ("429", {"Retry-After"}),
        ("503", {"Retry-After"}),
    ]:
        assert set(post["responses"][status]["headers"]) == names
    assert set(get["responses"]["200"]["headers"]) == {"ETag"}


def test_head__has_no_content():
    responses = describe("")["paths"]["/lookup/{address}"]["head"]["responses"]
    assert not any("content" in one for one in responses.values())


@pytest.mark.parametrize("is_public", [False, True])
def test_security__token_or_session_and_nothing_where_it_is_public(settings, is_public):
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": is_public}
    paths = describe("")["paths"]
    everybody = [{}] if is_public else []
    get, post = paths["/lookup/{address}"]["get"], paths["/lookup"]["post"]
    assert get["security"] == [{"token": []}, {"session": []}, *everybody]
    assert post["security"] == [{"token": []}, {"session": [], "csrf": []}, *everybody]
    assert paths["/openapi.json"]["get"]["security"] == []


def test_security__has_the_names_of_the_project(settings):
    settings.SESSION_COOKIE_NAME, settings.CSRF_HEADER_NAME = "sid", "HTTP_X_XSRF_TOKEN"
    schemes = describe("")["components"]["securitySchemes"]
    assert schemes["session"]["name"] == "sid"
    assert schemes["csrf"]["name"] == "X-Xsrf-Token"


def test_description__is_small_and_made_once(client):
    assert components() is components()
    assert len(client.get(URL).content) < 60_000


# --- the page --------------------------------------------------------------------------------


def test_page__has_the_codes_and_their_status():
    table = PAGE.partition("## Errors")[2].partition("## How often")[0]
    rows = re.findall(r"^\| (\d{3}) \| ([^|]+) \|", table, re.MULTILINE)
    told = {code: int(status) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    assert told == {code: kind.status for code, kind in KINDS.items()}


def test_page__has_each_field_once():
    table = PAGE.partition("### The fields")[2].partition("\n## ")[0]
    names = [
        name
        for names in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    ]
    assert sorted(names) == sorted(components()["Answer"]["properties"])


# --- what is answered ------------------------------------------------------------------------


@pytest.mark.django_db
def test_answers__have_the_described_fields_and_no_other(viewer, settings):
    use_dummy_provider(settings, answers={LONDON: {"country_code": "GB"}})
    a_row()
    named = {name: set(one["properties"]) for name, one in components().items()}
    one = viewer.get(f"/api/lookup/{LONDON}?lang=de").json()
    past = viewer.get(f"/api/lookup/{LONDON}?lang=de&on=2026-05-01").json()
    text = viewer.post("/api/lookup", f"{LONDON}\n1.2.3.999", content_type="text/plain").json()
    body = {"addresses": ["x"]}
    several = viewer.post("/api/lookup", body, content_type="application/json").json()
    assert set(one) == named["Answer"]
    assert set(past) == named["PastAnswer"]
    assert set(text) == named["TextAnswers"]
    assert set(text["bad_lines"][0]) == named["BadLine"]
    assert set(several["results"][0]) == named["RefusedAddress"]
    assert set(several["results"][0]["error"]) == named["Problem"]
