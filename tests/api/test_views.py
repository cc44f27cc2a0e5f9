import gzip
import json
from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import InterfaceError, OperationalError
from django.test import Client
from django.utils.translation import override
from msgspec.structs import replace

from geocache.api import answers
from geocache.journal import backlog
from geocache.models import ApiToken
from tests.factories import (
    LONDON,
    MOSCOW_V6,
    NOON,
    a_location,
    a_row,
    a_stranger,
    a_token,
    a_viewer,
    an_admin,
    use_dummy_provider,
)
from tests.support.assertions import no_database_write

pytestmark = pytest.mark.django_db
ONE = f"/api/lookup/{LONDON}"
MANY = "/api/lookup"
JSON = "application/json"
TOKEN_QUERIES = 3  # the token with its user, and its permissions
SESSION_QUERIES = 4  # the session, its user, its permissions


@pytest.fixture(autouse=True)
def provider(settings):
    known = {"country_code": "GB", "city": "London", "organization": "Test <Networks>"}
    return use_dummy_provider(settings, answers={LONDON: known, MOSCOW_V6: {"country_code": "RU"}})


@pytest.fixture
def program():
    """A client with a token, as strict on CSRF as production."""
    token = a_token(a_viewer())
    return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {token}"})


def use(settings, **given):
    settings.GEOCACHE = {**settings.GEOCACHE, **given}


def ask(client, addresses, **headers):
    return client.post(MANY, {"addresses": addresses}, content_type=JSON, headers=headers)


def assert_error(response, status, code):
    """An error has its status, its code, and one line for people; nobody may keep it."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == JSON
    assert list(response.json()) == ["error"]
    error = response.json()["error"]
    assert error["code"] == code
    assert error["message"].endswith(".")
    assert "\n" not in error["message"]


# --- who may ---------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [a_viewer, an_admin])
def test_api__session_of_staff_may(client, who):
    client.force_login(who())
    with no_database_write(max_queries=SESSION_QUERIES):
        response = client.get(ONE)
    assert response.json()["country_code"] == "GB"


def test_api__token_of_staff_may(program):
    with no_database_write(max_queries=TOKEN_QUERIES):
        assert program.get(ONE).json()["country_code"] == "GB"
    with no_database_write(max_queries=TOKEN_QUERIES):
        assert ask(program, [LONDON]).json()["results"][0]["country_code"] == "GB"


def test_api__anonymous_is_asked_for_a_token(client, provider):
    with no_database_write(max_queries=0):
        response = client.get(ONE)
    assert_error(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == 'Bearer realm="geocache"'
    assert_error(ask(client, [LONDON]), 401, "not_authenticated")
    assert provider.asked == []


def test_api__stranger_is_refused(client, provider):
    client.force_login(a_stranger())
    with no_database_write(max_queries=SESSION_QUERIES):
        assert_error(client.get(ONE), 403, "forbidden")
    assert provider.asked == []


@pytest.mark.parametrize("who", [None, a_stranger])
def test_api__public_is_open_to_everybody(client, settings, who):
    use(settings, PUBLIC_LOOKUP=True)
    if who:
        client.force_login(who())
    with no_database_write(max_queries=2 * SESSION_QUERIES if who else 0):
        assert client.get(ONE).status_code == 200
        assert ask(client, [LONDON]).status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", "é", "geocache_" + "x" * 5000])
@pytest.mark.parametrize("is_public", [False, True])
def test_api__wrong_token_is_refused_also_where_it_is_public(client, settings, token, is_public):
    use(settings, PUBLIC_LOOKUP=is_public)
    with no_database_write(max_queries=1):
        response = client.get(ONE, headers={"Authorization": f"Bearer {token}"})
    assert_error(response, 401, "invalid_token")
    assert response["WWW-Authenticate"].endswith('error="invalid_token"')


def test_api__wrong_token_is_not_mended_by_a_session(client):
    client.force_login(an_admin())
    response = client.get(ONE, headers={"Authorization": "Bearer wrong"})
    assert_error(response, 401, "invalid_token")


def test_api__token_ends_with_its_holders_rights(program):
    user = ApiToken.objects.get().user
    user.user_permissions.clear()
    assert_error(program.get(ONE), 403, "forbidden")
    user.is_active = False
    user.save()
    assert_error(program.get(ONE), 401, "invalid_token")


def test_api__deleted_token_is_revoked(program):
    ApiToken.objects.all().delete()
    assert_error(program.get(ONE), 401, "invalid_token")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_api__scheme_in_any_case(client, scheme):
    token = a_token(a_viewer())
    response = client.get(ONE, headers={"Authorization": f"{scheme} {token}"})
    assert response.status_code == 200


def test_api__password_of_a_proxy_is_not_a_token(client):
    client.force_login(an_admin())
    assert client.get(ONE, headers={"Authorization": "Basic YTpi"}).status_code == 200


# --- CSRF ------------------------------------------------------------------------------------


def test_api__session_needs_the_csrf_token():
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(an_admin())
    assert_error(ask(browser, [LONDON]), 403, "csrf_failed")
    assert browser.get(ONE).status_code == 200
    browser.get("/lookup/")
    secret = browser.cookies["csrftoken"].value
    assert ask(browser, [LONDON], **{"X-CSRFToken": secret}).status_code == 200
    assert_error(ask(browser, [LONDON], **{"X-CSRFToken": "x" * 64}), 403, "csrf_failed")


def test_api__form_of_another_site_is_refused():
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(an_admin())
    response = browser.post(
        MANY, b'{"addresses": []}', content_type="text/plain", headers={"Origin": "http://evil"}
    )
    assert_error(response, 403, "csrf_failed")


def test_api__token_needs_no_csrf_token(program):
    assert ask(program, [LONDON]).status_code == 200


# --- one address -----------------------------------------------------------------------------


def test_lookup__names_whom_to_thank_for_each_answer(program, settings):
    answers = {LONDON: {"source": "DBIP-City-Lite 2026-06-01", "city": "London"}}
    use_dummy_provider(settings, answers=answers)
    credit = "IP Geolocation by DB-IP (CC BY 4.0), https://db-ip.com"
    assert program.get(ONE).json()["credit"] == credit
    body = {"addresses": [LONDON, "8.8.8.8"]}
    several = program.post("/api/lookup", body, content_type="application/json").json()
    assert [one["credit"] for one in several["results"]] == [credit, ""]
    text = program.post("/api/lookup", LONDON, content_type="text/plain").json()
    assert text["results"][0]["credit"] == credit


def test_lookup_one__gives_all_fields(program):
    answer = program.get(ONE).json()
    assert set(answer) == {*a_location().to_plain(), "credit"}
    assert answer["address"] == LONDON
    assert answer["organization"] == "Test <Networks>"
    assert answer["found"] is True


@pytest.mark.parametrize(
    ("asked", "address", "reason"),
    [
        (MOSCOW_V6, MOSCOW_V6, ""),
        (f"::ffff:{LONDON}", LONDON, ""),
        ("8.8.8.8", "8.8.8.8", "not_found"),
        ("10.0.0.1", "10.0.0.1", "private"),
        ("fe80::1%25eth0", "fe80::1", "link_local"),
    ],
)
def test_lookup_one__empty_answer_is_no_error(program, asked, address, reason):
    answer = program.get(f"/api/lookup/{asked}").json()
    assert (answer["address"], answer["reason"]) == (address, reason)
    assert answer["found"] is (reason == "")


@pytest.mark.parametrize("text", ["x", "192.0.2.0/24", "1.2.3.4.5", "%00", "<b>", "1" * 999, "%20"])
def test_lookup_one__nonsense_is_400(program, text, provider):
    assert_error(program.get(f"/api/lookup/{text}"), 400, "invalid_address")
    assert provider.asked == []


def test_lookup_one__unchanged_answer_is_304(program):
    first = program.get(ONE)
    etag = first["ETag"]
    second = program.get(ONE, headers={"If-None-Match": etag})
    assert (second.status_code, second.content, second["ETag"]) == (304, b"", etag)
    assert program.get(ONE, headers={"If-None-Match": '"other"'}).content == first.content


def test_lookup_one__head(program):
    response = program.head(ONE)
    assert (response.status_code, response.content) == (200, b"")


def test_api__answers_are_for_one_asker_only(program):
    for response in (program.get(ONE), ask(program, [LONDON]), program.get("/api/lookup/x")):
        assert response["Cache-Control"] == "private, no-cache"
        assert {"Authorization", "Cookie"} <= set(response["Vary"].split(", "))


# --- many ------------------------------------------------------------------------------------


def test_lookup_several__in_their_order_each_where_it_was_asked(program):
    asked = ["8.8.8.8", "x", LONDON, LONDON, "192.0.2.0/24", f"::ffff:{LONDON}"]
    results = ask(program, asked).json()["results"]
    assert [result["address"] for result in results] == [
        "8.8.8.8",
        "x",
        LONDON,
        LONDON,
        "192.0.2.0/24",
        LONDON,
    ]
    assert [result.get("country_code") for result in results] == ["", None, "GB", "GB", None, "GB"]
    assert results[1]["error"] == {
        "code": "invalid_address",
        "message": "'x' is not an IP address.",
    }


def test_lookup_several__thousand_are_one_batch(program, provider):
    asked = [f"20.0.{n >> 8}.{n & 255}" for n in range(1000)]
    with no_database_write(max_queries=TOKEN_QUERIES):
        response = ask(program, asked)
    assert [result["address"] for result in response.json()["results"]] == asked
    assert len(provider.asked) == 1000
    assert backlog.read_backlog().answer_count == 1000


def test_lookup_several__nothing_asked_nothing_answered(program):
    assert ask(program, []).json() == {"results": []}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b" ", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"[]", "invalid_body"),
        (b"null", "invalid_body"),
        (b"{}", "invalid_body"),
        (b'{"addresses": "81.2.69.142"}', "invalid_body"),
        (b'{"addresses": [1]}', "invalid_body"),
        (b'{"addresses": [["81.2.69.142"]]}', "invalid_body"),
        (b'{"addresses": {"a": 1}}', "invalid_body"),
        (b'{"addresses": null}', "invalid_body"),
        (b'{"Addresses": []}', "invalid_body"),
    ],
)
def test_lookup_several__unreadable_body_is_400(program, body, code):
    assert_error(program.post(MANY, body, content_type=JSON), 400, code)


def test_lookup_several__any_text_in_json_is_answered(program):
    texts = ["\ud800", "\0", "<script>", "", " ", "١.٢.٣.٤"]  # noqa: RUF001 - other digits
    response = program.post(MANY, json.dumps({"addresses": texts}), content_type=JSON)
    assert [one["error"]["code"] for one in response.json()["results"]] == ["invalid_address"] * 6


def test_lookup_several__too_many_or_too_large_is_413(program, settings):
    assert_error(ask(program, ["8.8.8.8"] * 1001), 413, "too_many_addresses")
    assert_error(ask(program, ["x" * 250_000]), 413, "body_too_large")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert_error(ask(program, ["8.8.8.8"]), 413, "body_too_large")


@pytest.mark.parametrize("kind", ["text/html", "application/x-www-form-urlencoded", ""])
def test_lookup_several__another_type_is_415(program, kind):
    response = program.post(MANY, b'{"addresses": []}', content_type=kind)
    assert_error(response, 415, "unsupported_media_type")
    assert response["Accept"] == f"{JSON}, text/plain"


def test_lookup_several__type_may_name_its_characters(program):
    body = json.dumps({"addresses": [LONDON]})
    response = program.post(MANY, body, content_type="application/json; charset=utf-8")
    assert response.status_code == 200


# --- text ------------------------------------------------------------------------------------

LOG = f"""\
example.org:443 {LONDON} - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 1 "-" "-"
Traceback (most recent call last):
mx.example [IPv6:{MOSCOW_V6}] and {LONDON} with Microsoft SMTP Server id 15.1.225.42; Fri
192.0.2.0/24
1.2.3.999
"""


def send(client, body, **headers):
    return client.post(MANY, body, content_type="text/plain; charset=utf-8", headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        LOG.encode(),
        gzip.compress(LOG.encode(), mtime=0),
        LOG.encode("utf-16"),
        LOG.replace("\n", "\r").encode(),
    ],
    ids=["plain", "gzip", "utf-16", "cr"],
)
def test_lookup_text__all_addresses_once_and_what_was_not_read(program, body):
    with no_database_write(max_queries=TOKEN_QUERIES):
        answer = send(program, body).json()
    assert [one["address"] for one in answer["results"]] == [LONDON, MOSCOW_V6]
    assert [one["country_code"] for one in answer["results"]] == ["GB", "RU"]
    assert answer["bad_lines"] == [
        {"line": 4, "text": "192.0.2.0/24", "is_network": True},
        {"line": 5, "text": "1.2.3.999", "is_network": False},
    ]
    assert (answer["bad_line_count"], answer["other_line_count"]) == (2, 1)


def test_lookup_text__packed_as_the_protocol_says(program):
    body = gzip.compress(LOG.encode(), mtime=0)
    answer = send(program, body, **{"Content-Encoding": "gzip"}).json()
    assert len(answer["results"]) == 2
    refused = send(program, body, **{"Content-Encoding": "br"})
    assert_error(refused, 415, "unsupported_encoding")


def test_lookup_text__nothing_in_it(program):
    answer = send(program, b"\n").json()
    assert answer == {"results": [], "bad_lines": [], "bad_line_count": 0, "other_line_count": 0}


def test_lookup_text__damaged_body_is_400(program):
    assert_error(send(program, gzip.compress(LOG.encode(), mtime=0)[:-9]), 400, "invalid_body")


def test_lookup_text__has_the_bounds_of_the_page(program, settings):
    many = "\n".join(f"20.0.{n >> 8}.{n & 255}" for n in range(1001)).encode()
    assert_error(send(program, many), 413, "too_many_addresses")
    assert_error(send(program, b"x\n" * 50_001), 413, "too_many_lines")
    assert_error(send(program, b"x" * (2 * 2**20 + 1)), 413, "body_too_large")
    bomb = gzip.compress(bytes(50 * 2**20), mtime=0)
    assert_error(send(program, bomb), 413, "body_too_large")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert_error(send(program, LOG.encode()), 413, "body_too_large")


def test_lookup_text__reading_and_addresses_are_counted(program, settings, provider):
    use(settings, LOOKUP_RATE="10/hour")
    assert send(program, b"x" * 40_000).status_code == 200  # five
    assert send(program, LOG.encode()).status_code == 200  # two
    provider.asked.clear()
    assert_error(send(program, b"1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4"), 429, "too_many_requests")
    assert provider.asked == []


# --- what there is not -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "url", "allowed"),
    [
        ("post", ONE, "GET, HEAD"),
        ("delete", ONE, "GET, HEAD"),
        ("get", MANY, "POST"),
        ("put", MANY, "POST"),
    ],
)
def test_api__other_methods_are_405(program, method, url, allowed):
    response = getattr(program, method)(url)
    assert_error(response, 405, "method_not_allowed")
    assert response["Allow"] == allowed


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("url", ["/api", "/api/", "/api/x", "/api/lookup/", "/api/v2/lookup"])
def test_api__other_paths_are_404(program, method, url):
    assert_error(getattr(program, method)(url), 404, "not_found")


# --- how often -------------------------------------------------------------------------------


def test_api__too_many_requests_are_429_with_the_time_to_wait(program, settings, provider):
    use(settings, LOOKUP_RATE="3/hour", PUBLIC_LOOKUP_RATE="3/hour")
    with no_database_write(max_queries=4 * TOKEN_QUERIES):
        for _ in range(3):
            assert program.get(ONE).status_code == 200
        provider.asked.clear()
        response = ask(program, ["8.8.8.8"])
    assert_error(response, 429, "too_many_requests")
    assert 0 < int(response["Retry-After"]) <= 3600
    assert provider.asked == []


def test_api__each_user_has_a_count_and_each_address(client, program, settings):
    use(settings, LOOKUP_RATE="1/hour", PUBLIC_LOOKUP_RATE="1/hour", PUBLIC_LOOKUP=True)
    assert program.get(ONE).status_code == 200
    assert client.get(ONE).status_code == 200
    assert client.get(ONE, REMOTE_ADDR="2001:db8::1").status_code == 200
    # Its neighbour in the same /64 is the same subscriber.
    assert client.get(ONE, REMOTE_ADDR="2001:db8::2").status_code == 429
    assert client.get(ONE, REMOTE_ADDR="2001:db8:0:1::1").status_code == 200
    assert client.get(ONE).status_code == 429


def test_api__forged_header_gives_no_new_count(client, settings):
    use(settings, LOOKUP_RATE="1/hour", PUBLIC_LOOKUP_RATE="1/hour", PUBLIC_LOOKUP=True)
    assert client.get(ONE).status_code == 200
    assert client.get(ONE, headers={"X-Forwarded-For": "1.1.1.1"}).status_code == 429


def test_api__guessing_tokens_is_slowed_down(client, settings):
    use(settings, LOOKUP_RATE="1/hour", PUBLIC_LOOKUP_RATE="1/hour")
    answers = [client.get(ONE, headers={"Authorization": f"Bearer {n}"}) for n in range(2)]
    assert [answer.status_code for answer in answers] == [401, 429]


# --- where it was ----------------------------------------------------------------------------


def test_lookup_on__the_answer_of_that_day_with_its_span(program, provider):
    a_row()
    a_row(city="Leeds", resolved_at=NOON + timedelta(days=5))
    with no_database_write(max_queries=TOKEN_QUERIES + 3):
        first = program.get(f"{ONE}?on=2026-01-03")
    second = program.get(f"{ONE}?on=2026-05-01").json()
    until = "2026-01-07T12:00:00+00:00"
    assert first.json() == a_location(continent_code="EU").to_plain() | {
        "credit": "",
        "on": "2026-01-03",
        "valid_from": "2026-01-02T12:00:00+00:00",
        "valid_until": until,
    }
    assert (second["city"], second["valid_from"], second["valid_until"]) == ("Leeds", until, None)
    assert provider.asked == []
    again = program.get(f"{ONE}?on=2026-01-03", headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304


def test_lookup_on__before_the_first_answer_nothing_was_known(program):
    a_row()
    assert_error(program.get(f"{ONE}?on=2026-01-01"), 404, "not_known_then")
    assert_error(program.get(f"/api/lookup/{MOSCOW_V6}?on=2026-01-03"), 404, "not_known_then")


@pytest.mark.parametrize(
    "query",
    [
        "on=",
        "on=yesterday",
        "on=2026-02-30",
        "on=20260101",
        "on=0001-01-01",
        "on=9999-12-31",
        "on=2026-01-01&on=2026-01-02",
    ],
)
def test_lookup_on__what_is_no_day_is_said(program, query):
    assert_error(program.get(f"{ONE}?{query}"), 400, "invalid_day")


def test_lookup_on__what_is_no_address_is_said(program):
    assert_error(program.get("/api/lookup/nonsense?on=2026-01-01"), 400, "invalid_address")


# --- in which language ------------------------------------------------------------------------


def test_lookup_lang__adds_country_and_continent_in_that_language(program, settings):
    use_dummy_provider(settings, answers={LONDON: {"country_code": "GB", "continent_code": "EU"}})
    plain = program.get(ONE).json()
    german = program.get(f"{ONE}?lang=de").json()
    names = {"country_name": "Vereinigtes Königreich", "continent_name": "Europa"}
    assert german == plain | names
    assert not names.keys() & plain.keys()


def test_lookup_lang__of_several_and_of_a_text(program, settings):
    use_dummy_provider(settings, answers={LONDON: {"country_code": "GB", "continent_code": "EU"}})
    url = f"{MANY}?lang=fr"
    several = program.post(url, {"addresses": [LONDON, "x", "10.0.0.1"]}, content_type=JSON).json()
    known, refused, private = several["results"]
    assert (known["country_name"], known["continent_name"]) == ("Royaume-Uni", "Europe")
    assert list(refused) == ["address", "error"]
    assert (private["country_name"], private["continent_name"]) == ("", "")
    text = program.post(url, LONDON, content_type="text/plain").json()
    assert text["results"][0]["country_name"] == "Royaume-Uni"


def test_lookup_lang__of_a_day(program):
    a_row()
    answer = program.get(f"{ONE}?on=2026-05-01&lang=de").json()
    assert answer["on"] == "2026-05-01"
    assert answer["country_name"] == "Vereinigtes Königreich"


def test_lookup_lang__places_are_named_in_it(program, monkeypatch):
    asked = []

    def named(location, language):
        asked.append(language)
        return replace(location, city="Londres") if language else location

    monkeypatch.setattr(answers, "in_language", named)
    a_row()
    assert program.get(f"{ONE}?lang=es").json()["city"] == "Londres"
    assert program.get(f"{ONE}?lang=es&on=2026-05-01").json()["city"] == "Londres"
    assert program.get(ONE).json()["city"] == "London"
    assert asked == ["es", "es", None]


@pytest.mark.parametrize(
    "query", ["lang=", "lang=german language", "lang=de&lang=fr", "lang=%00", "lang=" + "x" * 999]
)
@pytest.mark.parametrize("on", ["", "&on=2026-01-03"])
def test_lookup_lang__what_is_no_language_is_said(program, provider, query, on):
    assert_error(program.get(f"{ONE}?{query}{on}"), 400, "invalid_language")
    refused = program.post(f"{MANY}?{query}", {"addresses": []}, content_type=JSON)
    assert_error(refused, 400, "invalid_language")
    assert provider.asked == []


@pytest.mark.parametrize(
    ("language", "country"),
    [
        ("pt-br", "Reino Unido"),
        ("zh-cn", "英国"),
        ("de-ch", "Vereinigtes Königreich"),
        ("zh-Hant-TW", "英國"),
    ],
)
def test_lookup_lang__country_in_the_nearest_language(program, language, country):
    answer = program.get(f"{ONE}?lang={language}").json()
    assert answer["country_name"] == country


def test_present__language_that_django_does_not_have_is_not_loaded(monkeypatch):
    loaded = []
    monkeypatch.setattr(answers, "override", lambda one: loaded.append(one) or override(one))
    (answer,) = answers.present([a_location()], "qaa")
    assert answer["country_name"] == "United Kingdom"
    assert loaded == [None]


# --- labels of lists --------------------------------------------------------------------------


def test_lookup__has_the_labels_of_lists_of_today(program, monkeypatch):
    def labelled(locations):
        return [replace(one, traits=("bot",)) for one in locations]

    monkeypatch.setattr(answers, "labelled", labelled)
    a_row()
    assert program.get(ONE).json()["traits"] == ["bot"]
    assert ask(program, [LONDON, "x"]).json()["results"][0]["traits"] == ["bot"]
    text = program.post(MANY, LONDON, content_type="text/plain").json()
    assert text["results"][0]["traits"] == ["bot"]
    assert program.get(f"{ONE}?on=2026-05-01").json()["traits"] == []


# --- what goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_api__token_while_the_database_is_away_is_503(program, monkeypatch, error):
    def fail(*_given):
        raise error("connection refused")

    monkeypatch.setattr(ApiToken, "holder_of", fail)
    for response in (program.get(ONE), ask(program, [LONDON])):
        assert_error(response, 503, "database_unavailable")
        assert response["Retry-After"] == "10"
        assert "refused" not in response.text


def test_api__session_while_the_database_is_away_is_503(client, monkeypatch):
    client.force_login(an_admin())

    def fail(*_given):
        raise OperationalError("connection refused")

    monkeypatch.setattr(SessionStore, "_get_session_from_db", fail)
    assert_error(client.get(ONE), 503, "database_unavailable")


def test_api__too_many_parameters_are_400(program):
    assert_error(program.get(f"{ONE}?{'a=1&' * 1_001}"), 400, "bad_request")


def test_api__damaged_form_is_400():
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(an_admin())
    browser.get("/lookup/")
    response = browser.post(MANY, b"x", content_type="multipart/form-data; boundary=\n")
    assert_error(response, 400, "bad_request")
