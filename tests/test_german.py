"""Every page for a reader of German: nothing of it is left in English."""

import re
from datetime import timedelta
from typing import Any

import html5lib
import polib
import pytest
from django.utils import timezone

from geocache import recorder
from geocache.models import FlushRun, RejectedEntry
from geocache.statistics import refresh_after_flush
from tests.assertions import assert_valid_html
from tests.factories import LONDON, a_location, a_row, a_token, an_admin
from tests.processes import ROOT

pytestmark = pytest.mark.django_db

GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}
# What people read, or have read to them.
SPOKEN = ("alt", "aria-label", "data-label", "placeholder", "title")
# Words that are not German, too.
ENGLISH = re.compile(
    r"\b(?:the|and|of|is|are|not|with|from|this|that|to|for|by|all|no|yes"
    r"|address(?:es)?|country|answers?|network|flush(?:es|ed)?|pending|source|look|ago|days?)\b",
    re.IGNORECASE,
)
CATALOGUE = polib.pofile(str(ROOT / "geocache/locale/de/LC_MESSAGES/django.po"))
# The first that is long enough to be English, between the placeholders and tags of a message.
PIECES = {
    piece.strip()
    for entry in CATALOGUE
    for piece in re.split(r"%\(\w+\)[sd]|<[^>]*>", entry.msgid)
    if len(piece.strip()) > 7 and piece.strip() not in entry.msgstr
}


def texts(element: Any) -> list[str]:
    """Return what is said on a page, without code and what is marked as English."""
    if element.get("lang") == "en" or element.tag in ("code", "script", "style"):
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
    # Comments have no text for people.
    said = [text for text in texts_of(tree) if text]
    text = " ".join(" ".join(said).split())
    assert (
        sorted(piece for piece in PIECES if re.search(rf"(?<!\w){re.escape(piece)}(?!\w)", text))
        == []
    )
    assert ENGLISH.findall(text) == []
    return text


def texts_of(tree: Any) -> list[str]:
    for parent in tree.iter():
        for child in list(parent):
            if not isinstance(child.tag, str):
                parent.remove(child)
    return texts(tree)


@pytest.fixture
def german(client: Any) -> Any:
    """A client whose user reads German and may do everything."""
    client.force_login(an_admin())
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = GERMAN["accept-language"]
    return client


@pytest.fixture
def full(settings: Any) -> None:
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
    refresh_after_flush()
    recorder.record([a_location(resolved_at=now - timedelta(minutes=12))])


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


@pytest.mark.parametrize("url", PAGES)
def test_page__is_german(german, full, url):
    assert_is_german(german.get(url))


@pytest.mark.parametrize("url", PAGES[:2] + ["/addresses/", "/addresses/?country=AT", "/admin/"])
def test_page__is_german_while_nothing_is_known(german, url):
    assert_is_german(german.get(url))


@pytest.mark.parametrize("url", ["/nothing/", "/addresses/x/", "/addresses/8.8.8.8/"])
def test_page__that_is_not_there_is_german(german, url):
    assert_is_german(german.get(url), status=404)
