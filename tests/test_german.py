"""Every page for a reader of German: nothing of it is left in English."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from xml.etree.ElementTree import Comment

import html5lib
import polib
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from geocache import trait_names
from geocache.blocklists import apply
from geocache.field_sources import GIVEN, pack
from geocache.journal import recorder
from geocache.labels import give_label
from geocache.location import Details, Subdivision
from geocache.lookup import lookup
from geocache.models import (
    AnswerHistory,
    FlushRun,
    ImportRun,
    ImportSource,
    ListedAddress,
    RejectedEntry,
)
from geocache.statistics.after_flush import after_flush
from tests.factories import (
    LONDON,
    a_location,
    a_row,
    a_stranger,
    an_admin,
    use_dummy_provider,
)
from tests.support.assertions import assert_valid_html
from tests.support.blocklists import an_entry, imported, imported_entries
from tests.support.processes import ROOT

pytestmark = [pytest.mark.any_services, pytest.mark.django_db]

GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}
# What people read, or have read to them.
SPOKEN = ("alt", "aria-label", "data-label", "placeholder", "title")
# Words that are not German, too; "2000/day" is what people enter.
ENGLISH = re.compile(
    r"(?<!/)\b(?:the|and|of|is|are|not|with|from|this|that|to|for|by|all|no|yes"
    r"|address(?:es)?|country|answers?|network|flush(?:es|ed)?|pending|source|look|ago|days?)\b",
    re.IGNORECASE,
)
# What Django's own German catalogue lacks, as of 6.1.
DJANGOS_OWN = "Filter by"
# The name of a product.
PRODUCT = "GeoIP Anonymous IP"
CATALOGUE = polib.pofile(str(ROOT / "geocache/locale/de/LC_MESSAGES/django.po"))
# What of a message is long enough to be English only, between its placeholders and tags.
PIECES = {
    piece.strip()
    for entry in CATALOGUE
    for piece in re.split(r"%\(\w+\)[sd]|<[^>]*>", entry.msgid)
    if len(piece.strip()) > 4
    and piece.strip() not in " ".join([entry.msgstr, *entry.msgstr_plural.values()])
} - {
    # The name of the user, too.
    "admin",
    # Django 5.2.0 has not translated all that begins so.
    "Change",
}


def texts(element: Any) -> list[str]:
    """Return what is said on a page, without comments, code and what is marked as English."""
    is_silent = element.tag in (Comment, "code", "script", "style")
    if is_silent or element.get("lang") == "en":
        return [element.tail or ""]
    said = [element.get(name, "") for name in SPOKEN]
    if element.tag == "input" and element.get("type") == "submit":
        said.append(element.get("value", ""))
    said.append(element.text or "")
    for child in element:
        said += texts(child)
    return [*said, element.tail or ""]


def assert_is_german(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.status_code
    assert response["Content-Language"] == "de"
    assert "Accept-Language" in response["Vary"]
    assert_valid_html(response)
    tree = html5lib.parse(response.text, namespaceHTMLElements=False)
    assert tree.get("lang") == "de"
    text = " ".join(" ".join(texts(tree)).split()).replace(PRODUCT, "")
    assert (
        sorted(piece for piece in PIECES if re.search(rf"(?<!\w){re.escape(piece)}(?!\w)", text))
        == []
    )
    assert ENGLISH.findall(text.replace(DJANGOS_OWN, "")) == []
    return text


@pytest.fixture(autouse=True)
def back_to_english() -> Iterator[None]:
    """Leave the thread as it was: the language of a request outlives it."""
    with override("en"):
        yield


@pytest.fixture
def german(client: Any) -> Any:
    """A client whose user reads German and may do everything."""
    client.force_login(an_admin())
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = GERMAN["accept-language"]
    return client


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of each kind, all counted; something waits, and some flushes have failed."""
    for number in range(60):
        a_row(
            f"81.2.69.{number}", asn=64500, organization="Test Networks", latitude=51.5, longitude=0
        )
    a_row("20.0.0.1", country_code="AT", city="", region="Wien")
    a_row("20.0.0.2", country_code="", city="", network="", reason="not_found")
    now = timezone.now()
    counts = {"seconds": 1.5, "rejected": 1, "lost": 2, "pending": 0}
    for minutes in (90, 1):
        at = now - timedelta(minutes=minutes)
        FlushRun.objects.create(started_at=at, flushed=12_345, timed_out=True, **counts)
    RejectedEntry.objects.create(record="?", error="?")
    # The rows are there; nothing but what is recorded below waits for a flush.
    monkeypatch.setattr(apply, "locate", lambda _: None)
    imported("81.2.69.7", "20.0.0.1", "5.6.7.0/24", "x", name="ipsum")
    imported("81.2.69.7", "20.0.0.2", name="ipsum")
    ImportSource.objects.create(name="xy")
    after_flush()
    recorder.record([a_location(resolved_at=now - timedelta(minutes=12))])


# What a VPN in a data centre has of the fields that few answers fill.
RARE = {
    "continent_code": "EU",
    "registered_country_code": "US",
    "region": "England",
    "region_code": "GB-ENG",
    "subdivisions": (Subdivision("ENG", "England"), Subdivision("WSM", "Westminster")),
    "metro_code": 501,
    "traits": tuple(sorted(trait_names.TRAITS)),
    "isp": "Test ISP",
    "domain": "example.com",
    "connection_type": "Corporate",
    "user_type": "hosting",
    "mobile_country_code": "234",
    "mobile_network_code": "10",
    "details": Details.of({**dict.fromkeys(trait_names.DETAILS, 7), "score": False}),
    "source": "one, two",
    "given_by": pack([GIVEN, ["traits", "is_in_european_union"]]),
}


@pytest.fixture
def rare() -> None:
    """A row of an address with all that an answer may hold, its past, and a list with a label."""
    a_row("81.2.69.7", city="Leeds")
    later = timezone.now() + timedelta(minutes=1)
    a_row("81.2.69.7", asn=64501, organization="Other", resolved_at=later, **RARE)
    for number, user_type in enumerate(trait_names.USER_TYPES):
        a_row(f"20.0.0.{number}", traits=("tor_exit_node",), user_type=user_type)
    for number, connection_type in enumerate(trait_names.CONNECTION_TYPES):
        a_row(f"20.0.1.{number}", traits=("hosting_provider",), connection_type=connection_type)
    imported("81.2.69.7", name="ipsum")
    give_label("ipsum", "bot")
    after_flush()


RARE_PAGES = [
    "/",
    "/addresses/81.2.69.7/",
    "/addresses/?trait=anonymous_vpn&user_type=hosting&connection_type=Corporate",
    "/addresses/?continent=EU&region=GB-ENG",
    "/addresses/?continent=x&region=x&trait=,",
    f"/addresses/?user_type={'x' * 99}",
    "/lookup/?ip=81.2.69.7&ip=20.0.0.1",
    "/moves/",
    "/moves/?kind=traits",
    "/moves/?kind=region&country=AT",
    "/lists/",
    "/admin/geocache/geocache/",
    "/admin/geocache/geocache/?trait=anonymous_vpn",
    "/admin/geocache/geocache/81.2.69.7/change/",
    "/admin/geocache/answerhistory/",
    "/admin/geocache/answerhistory/?kind=traits",
    "/admin/geocache/importsource/",
    "/admin/geocache/settingoverride/",
]
PAGES = [
    "/",
    "/lookup/",
    f"/lookup/?ip={LONDON}",
    f"/lookup/?ip={LONDON}&ip=10.0.0.1&ip=1.2.3.4.5&ip=8.8.8.0/24&ip=x",
    "/addresses/",
    "/addresses/?country=AT&sort=oldest",
    "/addresses/?country=Austria&asn=x&network=x&since=x&sort=x&unresolved=x",
    "/addresses/?colour=red",
    "/addresses/81.2.69.7/",
    "/addresses/20.0.0.2/",
    "/addresses/10.0.0.1/",
    "/lists/",
    "/addresses/?listed=ipsum",
    "/admin/geocache/importsource/",
    "/admin/geocache/importrun/",
    "/admin/geocache/listedaddress/",
    "/admin/geocache/ban/",
    "/admin/",
    "/admin/geocache/geocache/",
    "/admin/geocache/geocache/?answer=empty",
    "/admin/geocache/geocache/?q=x",
    "/admin/geocache/geocache/81.2.69.7/change/",
    "/admin/geocache/flushrun/",
    "/admin/geocache/rejectedentry/",
    "/admin/geocache/apitoken/",
    "/admin/geocache/apitoken/add/",
]


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("url", PAGES)
def test_page__is_german(german, url):
    assert_is_german(german.get(url))


@pytest.mark.usefixtures("rare")
@pytest.mark.parametrize("url", RARE_PAGES)
def test_page__of_what_few_answers_hold_is_german(german, url):
    assert_is_german(german.get(url))


@pytest.mark.usefixtures("rare")
def test_address__past_shows_region_and_kind_of_network(german):
    later = timezone.now() + timedelta(minutes=2)
    a_row("81.2.69.7", city="York", resolved_at=later)
    text = assert_is_german(german.get("/addresses/81.2.69.7/?on=2099-01-01"))
    past = text[text.index("Wo sie war") :]
    assert "England, London" in past
    assert "Rechenzentrum" in past


@pytest.mark.usefixtures("rare")
def test_admin__list_and_past_are_changed_in_german(german):
    for one in (ImportSource.objects.get(), AnswerHistory.objects.get()):
        assert_is_german(german.get(f"/admin/geocache/{one._meta.model_name}/{one.pk}/change/"))


@pytest.mark.parametrize("limit", [None, 1, 2])
def test_page__is_german_where_a_provider_costs(german, settings, limit):
    provider = use_dummy_provider(settings, is_metered=True, queries_per_day=limit)
    provider.queries_remaining = 12_000
    lookup("9.9.9.9")
    a_row("81.2.69.7", resolved_at=timezone.now())
    a_row("20.0.0.1", network="", source="Dummy 0")
    for url in ("/", "/addresses/9.9.9.9/", "/addresses/20.0.0.1/"):
        assert_is_german(german.get(url))
    for url in ("/addresses/81.2.69.9/", "/addresses/8.8.8.8/"):
        assert_is_german(german.get(url), status=404)


def test_page__is_german_where_the_provider_fails(german, settings):
    use_dummy_provider(settings, is_failing=True)
    a_row("20.0.0.1", country_code="AT", city="", network="")
    text = assert_is_german(german.get("/lookup/?ip=20.0.0.1&ip=9.9.9.9"))
    assert "vielleicht veraltet" in text


@pytest.mark.slow
@pytest.mark.usefixtures("full")
def test_page__of_a_list_is_german(german, settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": {"ipsum": "/srv/ipsum"}}
    for source in ImportSource.objects.all():
        assert_is_german(german.get(f"/lists/{source.pk}/"))
        assert_is_german(german.post(f"/lists/{source.pk}/import/", follow=True))
    for run in ImportRun.objects.all():
        assert_is_german(german.get(f"/lists/imports/{run.pk}/"))
        assert_is_german(german.get(f"/lists/imports/{run.pk}/?show=removed"))
        assert_is_german(german.get(f"/admin/geocache/importrun/{run.pk}/change/"))
    imported_entries(an_entry("20.0.0.3", 9.5, "SBL1"), name="scored")
    imported_entries(an_entry("20.0.0.3", 9), name="scored")
    scored = ImportSource.objects.get(name="scored")
    for query in ("", "?sort=score", "?min_score=99", "?min_score=x", "?sort=x"):
        assert_is_german(german.get(f"/lists/{scored.pk}/{query}"))
    assert_is_german(german.get(f"/lists/imports/{scored.current_run_id}/"))
    assert_is_german(german.get("/addresses/20.0.0.3/"), status=404)
    assert_is_german(german.get(f"/admin/geocache/listedaddress/?source__id__exact={scored.pk}"))
    entry = ListedAddress.objects.all()[0]
    assert_is_german(german.get(f"/admin/geocache/listedaddress/{entry.pk}/change/"))


@pytest.mark.parametrize(
    "url", [*PAGES[:2], "/lists/", "/addresses/", "/addresses/?country=AT", "/admin/"]
)
def test_page__is_german_while_nothing_is_known(german, url):
    assert_is_german(german.get(url))


@pytest.mark.parametrize("url", ["/nothing/", "/addresses/x/", "/addresses/8.8.8.8/"])
def test_page__that_is_not_there_is_german(german, url):
    assert_is_german(german.get(url), status=404)


def test_login__is_german(client, settings):
    page = assert_is_german(client.get("/login/?next=/", headers=GERMAN))
    assert "Die gewünschte Seite ist für Benutzer mit einer Berechtigung." in page
    settings.AXES_FAILURE_LIMIT = 1
    wrong = {"username": "admin", "password": "wrong"}
    page = assert_is_german(client.post("/login/", wrong, headers=GERMAN), status=429)
    assert "Warten Sie 15 Minuten" in page


def test_refusal__is_german(client):
    client.force_login(a_stranger())
    assert_is_german(client.get("/addresses/", headers=GERMAN), status=403)


def test_expired_form__is_german():
    client = Client(enforce_csrf_checks=True)
    assert_is_german(client.post("/login/", headers=GERMAN), status=403)


def test_unreadable_request__is_german(german, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    response = german.post("/lookup/", "x" * 20, content_type="application/x-www-form-urlencoded")
    assert_is_german(response, status=400)


def test_failure__is_german(german, monkeypatch):
    monkeypatch.setattr("geocache.web.views.dashboard.read_statistics", lambda: 1 / 0)
    german.raise_request_exception = False
    assert_is_german(german.get("/"), status=500)


@pytest.mark.slow
@pytest.mark.usefixtures("full")
def test_admin__what_is_done_is_told_in_german(german):
    page = assert_is_german(german.post("/admin/geocache/geocache/flush/", follow=True))
    assert re.search(r"1 geschrieben, 0 abgelehnt, 0 wartend, in 0,\d Sekunden\.", page)
    chosen = {"_selected_action": ["20.0.0.1", "20.0.0.2"]}
    asked = german.post("/admin/geocache/geocache/", chosen | {"action": "forget_chosen"})
    assert "diese 2 Adressen" in assert_is_german(asked)
    done = german.post("/admin/geocache/geocache/forget/", chosen, follow=True)
    assert "2 Adressen sind vergessen." in assert_is_german(done)
    again = chosen | {"_selected_action": LONDON[:-3] + "7", "action": "resolve_chosen_again"}
    done = german.post("/admin/geocache/geocache/", again, follow=True)
    assert "1 Adresse ist neu ermittelt" in assert_is_german(done)


def test_admin__new_token_is_shown_in_german(german):
    given = {"name": "Skript", "user": User.objects.get().pk}
    page = assert_is_german(german.post("/admin/geocache/apitoken/add/", given))
    assert "Das ist das Token „Skript“ von admin." in page


@pytest.mark.usefixtures("full")
def test_dashboard__numbers_dates_and_shares_are_german(german):
    response = german.get("/")
    page = assert_is_german(response)
    assert "12.345" in page
    assert "<td>96,8\N{NO-BREAK SPACE}%</td>" in response.text
    assert "24.12.2019" in page
    assert re.search(r"seit \d\d\.\d\d\.\d{4}, \d\d:\d\d UTC", page)


def test_countries__are_in_the_order_of_a_german_dictionary(german):
    for number, code in enumerate(("ZW", "EG", "AF", "AT", "PL")):
        a_row(f"20.0.0.{number}", country_code=code)
    page = german.get("/addresses/").text
    names = ["Afghanistan", "Ägypten", "Österreich", "Polen", "Simbabwe"]
    places = [page.index(f">{name}</option>") for name in names]
    assert places == sorted(places)
