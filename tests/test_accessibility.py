"""axe-core finds nothing serious on any page: light and dark, on a phone and on a wide screen."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.template.loader import render_to_string
from django.utils import timezone
from playwright.sync_api import Page, Route, ViewportSize

from geocache.journal.flush import flush_dirty
from geocache.location import Details
from geocache.lookup import lookup_many
from geocache.runtime_settings import overrides
from geocache.statistics.after_flush import after_flush
from tests.conftest import require
from tests.factories import LONDON, MOSCOW_V6, a_row, an_admin
from tests.support.blocklists import an_entry, imported, imported_entries
from tests.support.browser import CHROMIUM, chromium, log_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
]
PHONE = ViewportSize(width=390, height=844)
WIDE = ViewportSize(width=1280, height=900)
# Each colour and each width once: to try all four takes twice the time.
LOOKS = [("light", PHONE), ("dark", WIDE)]
# More than a page of the list.
ADDRESSES = [LONDON, MOSCOW_V6, *(f"1.{number}.1.1" for number in range(60))]
PASTED = f"{LONDON} sshd\n{MOSCOW_V6}\n10.0.0.1\n1.2.3.4.5\nno address here"
ANONYMOUS = ["/login/", "/nothing/"]
EMPTY = [
    "/",
    "/lookup/",
    "/lists/",
    "/moves/",
    "/addresses/",
    f"/addresses/{LONDON}/",
    "/addresses/10.0.0.1/",
]
FULL = [
    "/",
    f"/lookup/?ip={LONDON}",
    "/addresses/",
    "/addresses/?country=GB",
    "/addresses/?country=AQ",
    "/addresses/?trait=anonymous_vpn&user_type=residential",
    "/addresses/9.9.9.9/",
    "/addresses/?country=Atlantis",
    f"/addresses/{LONDON}/?on=2026-05-01",
    "/moves/",
    "/moves/?country=Atlantis",
    "/addresses/nonsense/",
    "/lists/",
    "/addresses/?listed=ipsum",
]
# Badges of each colour, and facts that few answers have.
KINDS = {
    "traits": ("anonymous_vpn", "anycast", "hosting_provider"),
    "user_type": "residential",
    "connection_type": "Cable/DSL",
    "details": Details.of({"anonymizer_confidence": 99}),
}
# Rendered, as no request in order is answered by them.
ERRORS = ["400.html", "403.html", "403_csrf.html", "500.html", "registration/locked_out.html"]
# What is ours on pages of Django's admin.
SETTINGS = "/admin/geocache/settingoverride/"
IN_THE_ADMIN = {
    "/admin/": "#geocache-panel",
    "/admin/geocache/geocache/": ".object-tools",
    "/admin/geocache/geocache/?trait=anonymous_vpn": ".geo-badges",
    SETTINGS: "#content-main",
    f"{SETTINGS}FLUSH_INTERVAL_SECONDS/change/": "#content-main",
    f"{SETTINGS}NEVER_BAN/change/": "#content-main",
}


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]['width']}")
def page(request: Any, live_server: Any) -> Iterator[Page]:
    require(CHROMIUM.exists(), "Chromium")
    an_admin()
    if "is_full" in request.fixturenames:
        lookup_many(ADDRESSES)
        overrides.change("NEVER_BAN", [f"192.0.2.{number}" for number in range(9)], by="ann")
        imported(*ADDRESSES, "5.6.7.0/24", name="ipsum")
        scored = [an_entry(one, number, "a comment") for number, one in enumerate(ADDRESSES)]
        imported_entries(*scored, name="scored")
        flush_dirty(10)
        a_row(city="Leeds", resolved_at=timezone.now())
        a_row("9.9.9.9", resolved_at=timezone.now(), **KINDS)
        after_flush()
    scheme, size = request.param
    with chromium() as browser:
        context = browser.new_context(
            base_url=live_server.url, viewport=size, color_scheme=scheme, locale="en-GB"
        )
        context.set_default_timeout(10_000)
        yield context.new_page()


@pytest.fixture
def is_full() -> None:
    """Ask for a table with answers."""


def findings(page: Page, part: str | None = None) -> list[str]:
    """Return what is wrong with the page, one line for each element that has it."""
    return [
        f"{page.url}: {rule['id']} ({rule['impact']}): {node['html'][:200]}"
        f" {node['failureSummary'][:300]}"
        for rule in Axe().run(page, part).response["violations"]
        for node in rule["nodes"]
        if rule["impact"] in {"serious", "critical"}
    ]


def visit(page: Page, urls: list[str]) -> list[str]:
    found = []
    for url in urls:
        page.goto(url)
        found += findings(page)
    return found


def test_pages__of_an_empty_table_have_no_serious_finding(page):
    log_in(page)
    assert visit(page, EMPTY) == []


@pytest.mark.usefixtures("is_full")
def test_pages__with_answers_have_no_serious_finding(page):
    log_in(page)
    assert visit(page, FULL) == []
    # A list, and an import; the last of each has scores.
    page.goto("/lists/")
    for table in ("All lists", "Last imports"):
        page.get_by_role("region", name=table).get_by_role("link").first.click()
        page.wait_for_load_state()
        assert findings(page) == []
    page.goto("/lists/")
    page.get_by_role("link", name="scored").first.click()
    page.get_by_label("Score at least").fill("3")
    page.get_by_role("button", name="Filter").click()
    page.get_by_text("Entries without a score are left out.").wait_for()
    assert findings(page) == []
    page.get_by_role("link", name="Next").click()
    page.get_by_role("link", name="First page").wait_for()
    assert page.get_by_label("Score at least").input_value() == "3"
    page.goto("/")
    for summary in page.locator("summary").all():
        summary.click()
    assert findings(page) == []


def test_lookup__answers_and_bad_lines_have_no_serious_finding(page):
    log_in(page, "/lookup/")
    page.goto("/lookup/")
    page.get_by_label("IP addresses").fill(PASTED)
    page.get_by_role("button", name="Look up").click()
    page.get_by_role("alert").wait_for()
    assert findings(page) == []


@pytest.mark.usefixtures("is_full")
def test_admin__our_parts_have_no_serious_finding(page):
    log_in(page)
    found = []
    for url, part in IN_THE_ADMIN.items():
        page.goto(url)
        found += findings(page, part)
    assert found == []


def test_pages__before_log_in_and_of_errors_have_no_serious_finding(page):
    for template in ERRORS:
        body = render_to_string(template, {"minutes": 15})
        page.route(f"**/{template}", partial(Route.fulfill, body=body, content_type="text/html"))
    assert visit(page, [*ANONYMOUS, *(f"/{template}" for template in ERRORS)]) == []


@pytest.mark.parametrize("page", LOOKS[:1], indirect=True)
def test_findings__are_found(page):
    page.goto("/login/")
    page.evaluate("document.querySelector('label').remove()")
    assert any("label (critical)" in line for line in findings(page))
