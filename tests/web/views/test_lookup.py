import gzip

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template.loader import render_to_string
from django.test import Client
from django.urls import include, path

from geocache.journal import backlog
from geocache.models import JournalHead
from geocache.providers.dummy import DummyProvider
from tests.factories import (
    LONDON,
    a_row,
    a_stranger,
    a_viewer,
    an_admin,
    use_dummy_provider,
)
from tests.support.assertions import assert_is_page, assert_valid_html, no_database_write

pytestmark = pytest.mark.django_db
URL = "/lookup/"
URLENCODED = "application/x-www-form-urlencoded"
LOGGED_IN_QUERIES = 4  # the session, its user, its permissions
# Another project, without pages for logging in and without the admin.
urlpatterns = [path("", include("geocache.urls"))]


@pytest.fixture(autouse=True)
def provider(settings):
    known = {
        "country_code": "GB",
        "city": "London",
        "region": "England",
        "network": "81.2.69.0/24",
        "asn": 64500,
        "organization": "Test <Networks>",
    }
    return use_dummy_provider(settings, answers={LONDON: known})


def ask(client, text):
    with no_database_write(max_queries=LOGGED_IN_QUERIES):
        response = client.post(URL, {"addresses": text})
    assert_is_page(response)
    return response


# --- who may ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_lookup_page__anonymous_is_sent_to_log_in_and_back(client, method):
    with no_database_write(max_queries=0):
        response = getattr(client, method)(f"{URL}?ip={LONDON}")
    assert response.status_code == 302
    assert response.url == f"/login/?next=/lookup/%3Fip%3D{LONDON}"


@pytest.mark.parametrize("method", ["get", "post"])
def test_lookup_page__stranger_is_refused(client, method, provider):
    client.force_login(a_stranger())
    with no_database_write(max_queries=LOGGED_IN_QUERIES):
        response = getattr(client, method)(f"{URL}?ip={LONDON}", {"ip": LONDON})
    assert_is_page(response, 403)
    assert provider.asked == []


@pytest.mark.parametrize("who", [a_viewer, an_admin])
def test_lookup_page__staff_sees_the_empty_page(client, who):
    client.force_login(who())
    with no_database_write(max_queries=LOGGED_IN_QUERIES):
        response = client.get(URL)
    assert_is_page(response)
    assert "Nothing looked up yet" in response.text
    assert "Log out" in response.text


@pytest.mark.parametrize("who", [None, a_stranger])
def test_lookup_page__public_is_open_to_everybody(client, settings, who):
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    if who:
        client.force_login(who())
    with no_database_write(max_queries=LOGGED_IN_QUERIES if who else 0):
        response = client.get(URL, {"ip": LONDON})
    assert_is_page(response)
    assert "1 answer" in response.text


def test_lookup_page__post_without_token_is_refused_with_a_page():
    client = Client(enforce_csrf_checks=True)
    client.force_login(an_admin())
    response = client.post(URL, {"addresses": LONDON})
    assert_is_page(response, 403)
    assert "This form has expired" in response.text


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_lookup_page__other_methods_are_not_allowed(viewer, method):
    assert getattr(viewer, method)(URL).status_code == 405


# --- answers ---------------------------------------------------------------------------------


def test_lookup_page__answer_shows_all_that_is_known(viewer):
    text = ask(viewer, LONDON).text
    for shown in (
        "1 answer",
        "🇬🇧",
        "United Kingdom",
        "London, England",
        "AS64500",
        "Test &lt;Networks&gt;",
        "81.2.69.0/24",
        "Dummy 1",
        "UTC</time>",
    ):
        assert shown in text, shown


def test_lookup_page__link_answers_and_fills_the_form(viewer):
    with no_database_write(max_queries=LOGGED_IN_QUERIES):
        response = viewer.get(URL, {"ip": LONDON})
    assert_is_page(response)
    assert "United Kingdom" in response.text
    assert f"{LONDON}</textarea>" in response.text


def test_lookup_page__link_may_name_several(viewer):
    response = viewer.get(URL, {"ip": [LONDON, "8.8.8.8", "x"]})
    assert_is_page(response)
    assert "2 answers" in response.text
    assert "Line 3:" in response.text


@pytest.mark.parametrize(
    ("address", "shown", "label"),
    [
        ("8.8.8.8", "8.8.8.8", "not found"),
        ("10.0.0.1", "10.0.0.1", "private"),
        ("127.0.0.1", "127.0.0.1", "loopback"),
        ("fe80::1%eth0", "fe80::1", "link-local"),
        ("224.0.0.1", "224.0.0.1", "multicast"),
        ("100.64.0.1", "100.64.0.1", "shared by a carrier"),
        ("203.0.113.1", "203.0.113.1", "documentation"),
        ("::", "::", "unspecified"),
        ("240.0.0.1", "240.0.0.1", "reserved"),
    ],
)
def test_lookup_page__empty_answer_says_why(viewer, address, shown, label):
    text = ask(viewer, address).text
    assert f">{shown}</a>" in text
    assert f'<span class="reason">{label}</span>' in text


def test_lookup_page__two_ways_to_write_an_address_are_one_answer(viewer):
    response = ask(viewer, f"::ffff:{LONDON}\n{LONDON}")
    assert "1 answer" in response.text


def test_lookup_page__bad_line_is_named_and_the_others_are_answered(viewer):
    text = ask(viewer, f"{LONDON}\n\n1.2.3.4.5\n8.8.8.8\n192.0.2.0/24").text
    assert "2 answers" in text
    assert "2 lines are not answered" in text
    assert "<strong>Line 3:</strong> “1.2.3.4.5” is not an IP address." in text
    assert "<strong>Line 5:</strong> “192.0.2.0/24” is a network; give one address of it." in text


@pytest.mark.parametrize(
    "text",
    [
        "1.2.3.4.5",
        "01.02.03.04",
        "example.org",
        "١.٢.٣.٤",  # noqa: RUF001 - digits that are not ASCII
        "192.0.2.0/24",
        "\x00",
        "<script>alert(1)</script>",
        "x\n" * 40_000,
        "\x00\x01\x1b\x7f\x9f\ufdd0\uffff",
        "' OR 1=1 --",
    ],
)
def test_lookup_page__nonsense_is_named_on_a_valid_page(viewer, text, provider):
    response = ask(viewer, text)
    assert "Line 1:" in response.text
    assert "Nothing could be answered" in response.text
    assert "<script>" not in response.text
    assert provider.asked == []


@pytest.mark.parametrize("text", ["", "  \n", "# only a comment"])
def test_lookup_page__nothing_asked_asks_for_an_address(viewer, text):
    assert "Enter at least one IP address." in ask(viewer, text).text


def test_lookup_page__ten_megabytes_are_refused_with_what_to_do(viewer, provider):
    response = ask(viewer, "8.8.8.8\n" * (10 * 2**20 // 8))
    assert "lookup_geo --file" in response.text
    assert len(response.content) < 20_000
    assert provider.asked == []


def test_lookup_page__more_than_the_server_takes_is_a_page(viewer, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    response = viewer.post(URL, {"addresses": "8.8.8.8\n" * 1000}, content_type=URLENCODED)
    assert_is_page(response, 400)


def test_lookup_page__thousand_addresses_are_answered(viewer):
    text = "\n".join(f"20.0.{n >> 8}.{n & 255}" for n in range(1000))
    response = ask(viewer, text)
    assert "1,000 answers" in response.text


def test_lookup_page__thousand_and_one_are_refused_with_what_to_do(viewer, provider):
    response = ask(viewer, "\n".join(f"20.0.{n >> 8}.{n & 255}" for n in range(1001)))
    assert "lookup_geo --file" in response.text
    assert provider.asked == []


def test_lookup_page__new_answers_are_journaled(viewer):
    ask(viewer, f"{LONDON}\n8.8.8.8")
    assert backlog.read_backlog().answer_count == 2
    assert not JournalHead.objects.exists()


# --- logs and files --------------------------------------------------------------------------

LOG = f"""\
Nov 23 10:00:01 web sshd[12]: Failed password from {LONDON} port 41234 ssh2
Nov 23 10:00:02 web sshd[12]: Disconnecting
Nov 23 10:00:03 web nginx: "GET / HTTP/1.1" "Chrome/120.0.0.0" [2001:db8::1]:443
"""


def test_lookup_page__addresses_in_a_log_are_found(viewer):
    text = ask(viewer, LOG).text
    assert "2 answers" in text
    assert "In 1 other line there is no address." in text
    assert "not answered" not in text


def test_lookup_page__file_is_answered_and_its_addresses_go_into_the_form(viewer):
    file = SimpleUploadedFile("auth.log.1.gz", gzip.compress(LOG.encode(), mtime=0))
    with no_database_write(max_queries=LOGGED_IN_QUERIES):
        response = viewer.post(URL, {"addresses": "", "file": file})
    assert_is_page(response)
    assert "2 answers" in response.text
    assert f"{LONDON}\n2001:db8::1</textarea>" in response.text


def test_lookup_page__file_that_is_too_large_is_refused_with_what_to_do(viewer, provider):
    file = SimpleUploadedFile("a.log", b"8.8.8.8\n" * 2**19)
    response = viewer.post(URL, {"addresses": "", "file": file})
    assert_is_page(response)
    assert "lookup_geo --file" in response.text
    assert provider.asked == []


# --- totals, map, download -------------------------------------------------------------------


def test_lookup_page__totals_and_map_of_several_answers(viewer, provider):
    near = {"country_code": "GB", "asn": 64500, "latitude": 51.5, "longitude": -0.1}
    provider.answers = {f"20.0.0.{n}": near for n in range(3)} | {
        f"20.0.1.{n}": {"country_code": code, "asn": n, "organization": f"Net {n}"}
        for n, code in enumerate(("FR", "DE", "IT", "ES", "PT", "PL", "SE", "NO", "FI", "DK", "NL"))
    }
    text = " ".join(ask(viewer, "\n".join(provider.answers)).text.split())
    assert "United Kingdom</th><td>3</td>" in text
    assert '<span class="code">AS64500</span> </th><td>3</td>' in text
    assert text.count('<th scope="row">Others</th><td>2</td>') == 2
    assert 'aria-label="Map of 3 places"' in text


def test_lookup_page__one_answer_needs_no_totals(viewer):
    assert "<caption>" not in ask(viewer, LONDON).text


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_lookup_page__answers_can_be_downloaded(viewer, kind):
    with no_database_write(max_queries=LOGGED_IN_QUERIES):
        posted = viewer.post(URL, {"addresses": LOG, "format": kind})
    linked = viewer.get(URL, {"ip": [LONDON, "2001:db8::1"], "format": kind})
    assert posted["Content-Disposition"] == f'attachment; filename="answers.{kind}"'
    for response in (posted, linked):
        content = response.getvalue().decode()
        assert LONDON in content
        assert "2001:db8::1" in content


def test_lookup_page__nothing_to_download_is_a_page(viewer):
    assert_is_page(viewer.post(URL, {"addresses": "x", "format": "csv"}))
    assert_is_page(viewer.get(URL, {"ip": LONDON, "format": "exe"}))


# --- one's own address -----------------------------------------------------------------------


def test_my_address__leads_to_the_answer_for_the_visitor(viewer):
    with no_database_write(max_queries=LOGGED_IN_QUERIES):
        response = viewer.get("/lookup/mine/", REMOTE_ADDR=LONDON)
    assert response.url == f"{URL}?ip={LONDON}#answers"
    assert "no-store" in response["Cache-Control"]


def test_my_address__that_cannot_be_told_leads_to_the_form(viewer):
    assert viewer.get("/lookup/mine/", REMOTE_ADDR="unix:").url == URL


def test_my_address__has_the_access_rule_of_the_look_up(client, settings):
    assert client.get("/lookup/mine/").url == "/login/?next=/lookup/mine/"
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    assert client.get("/lookup/mine/", REMOTE_ADDR=LONDON).url == f"{URL}?ip={LONDON}#answers"
    # The list of addresses is for staff only: nobody else is led there.
    assert "/addresses/" not in client.get(URL, {"ip": LONDON}).text


# --- where answers come from -----------------------------------------------------------------


def use_fallback(settings, **more):
    given = {name: value for name, value in settings.GEOCACHE.items() if name != "PROVIDER"}
    settings.GEOCACHE = given | more


def test_lookup_page__old_database_is_said_with_age_and_attribution(viewer, settings):
    use_fallback(settings)
    response = ask(viewer, LONDON)
    assert "GeoLite2-City" in response.text
    assert "Built on 2019-12-2" in response.text
    assert "This database is old." in response.text
    assert "Run manage.py update_geo, which needs no account." in response.text
    assert response.text.count("created by MaxMind (CC BY-SA 4.0)") == 1


def test_lookup_page__public_does_not_read_about_settings(client, settings):
    use_fallback(settings, PUBLIC_LOOKUP=True)
    response = client.get(URL)
    assert "This database is old." in response.text
    assert "GEOCACHE_DATABASES" not in response.text


def test_lookup_page__failing_provider_is_said_and_known_answers_stay(viewer, settings, tmp_path):
    use_fallback(settings, DATABASES=[tmp_path / "gone.mmdb"])
    with no_database_write(max_queries=LOGGED_IN_QUERIES + 1):
        response = viewer.post(URL, {"addresses": f"{LONDON}\n10.0.0.1"})
    assert_is_page(response)
    assert "New addresses cannot be resolved now." in response.text
    assert "gone.mmdb" in response.text
    assert "not available now" in response.text
    assert "private" in response.text


def test_lookup_page__failing_provider_does_not_tell_the_public_of_files(
    client, settings, tmp_path
):
    use_fallback(settings, DATABASES=[tmp_path / "gone.mmdb"], PUBLIC_LOOKUP=True)
    response = client.get(URL)
    assert_is_page(response)
    assert "New addresses cannot be resolved now." in response.text
    assert "gone.mmdb" not in response.text


# --- the other pages -------------------------------------------------------------------------


def test_login_page__is_valid_and_writes_nothing(client):
    with no_database_write(max_queries=0):
        response = client.get("/login/", {"next": URL})
    assert_is_page(response)


def test_login_page__wrong_password_is_said(client):
    a_viewer()
    response = client.post("/login/", {"username": "viewer", "password": "wrong"})
    assert_is_page(response)
    assert "errorlist" in response.text


def test_login_page__leads_to_what_was_asked_for(client):
    a_viewer()
    given = {"username": "viewer", "password": "viewer", "next": f"{URL}?ip={LONDON}"}
    response = client.post("/login/", given)
    assert response.url == f"{URL}?ip={LONDON}"


def test_log_out__is_a_button_that_posts(viewer):
    assert '<form method="post" action="/logout/">' in viewer.get(URL).text
    assert viewer.post("/logout/").url == "/login/"
    assert viewer.get(URL).status_code == 302


@pytest.mark.parametrize("who", [None, a_stranger, a_viewer, an_admin])
def test_not_found__is_a_page_for_everybody(client, who):
    if who:
        client.force_login(who())
    with no_database_write(max_queries=LOGGED_IN_QUERIES):
        assert_is_page(client.get("/nothing/here/"), 404)


def test_server_error__is_a_page_without_database_or_provider(client, monkeypatch, settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    monkeypatch.setattr(DummyProvider, "sources", lambda _: 1 / 0)
    client.raise_request_exception = False
    with no_database_write(max_queries=0):
        response = client.get(URL, {"ip": LONDON})
    assert_is_page(response, 500)


@pytest.mark.parametrize("name", ["400.html", "500.html", "403.html", "404.html", "403_csrf.html"])
def test_error_page__renders_with_nothing(name, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert "</html>" in render_to_string(name)


@pytest.mark.urls("tests.web.views.test_lookup")
def test_lookup_page__works_where_log_in_and_admin_have_no_pages(viewer):
    response = viewer.get(URL, {"ip": LONDON})
    assert_is_page(response)
    assert "United Kingdom" in response.text
    assert "Log out" not in response.text


def test_lookup_page__links_to_nothing_on_another_host_but_the_attribution(viewer, settings):
    use_fallback(settings)
    text = viewer.get(URL).text
    assert [part.split('"')[0] for part in text.split('="http')[1:]] == ["s://www.maxmind.com"]
    assert_valid_html(viewer.get(URL))


def test_lookup__old_answer_that_stands_in_says_so(settings, viewer):
    use_dummy_provider(settings, is_failing=True)
    a_row()
    assert "perhaps out of date" in viewer.get(f"/lookup/?ip={LONDON}&ip=8.8.8.8").text
    use_dummy_provider(settings)
    assert "perhaps out of date" not in viewer.get(f"/lookup/?ip={LONDON}&ip=8.8.8.8").text
