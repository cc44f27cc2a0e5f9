"""The Content-Security-Policy in a real browser: no page asks for what it forbids."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup
from tests.conftest import require
from tests.factories import LONDON, a_token, an_admin
from tests.support.browser import CHROMIUM, chromium, log_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
]
# Kept by the page itself, as a violation is an event of its document.
LISTEN = """
document.addEventListener("securitypolicyviolation", event => {
    console.error(`violation: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
PAGES = [
    "/lookup/",
    f"/lookup/?ip={LONDON}",
    "/nothing/",
    "/admin/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/auth/user/{admin}/change/",
    "/admin/auth/user/{admin}/password/",
    "/admin/auth/user/{admin}/delete/",
    "/admin/auth/user/{admin}/history/",
    "/admin/auth/group/add/?_popup=1",
    "/admin/geocache/geocache/",
    "/admin/geocache/settingoverride/",
    "/admin/geocache/settingoverride/NEVER_BAN/change/",
    f"/admin/geocache/geocache/{LONDON}/change/",
    "/admin/geocache/flushrun/",
    "/admin/geocache/rejectedentry/",
    "/admin/geocache/apitoken/",
    "/admin/geocache/apitoken/add/",
    "/admin/django_apscheduler/djangojob/",
    "/admin/django_apscheduler/djangojobexecution/",
    "/admin/jsi18n/",
]


@pytest.fixture
def window(live_server: Any) -> Iterator[tuple[Page, list[str], User]]:
    """A browser window, what its console has complained of, and who may log in."""
    require(CHROMIUM.exists(), "Chromium")
    # Before Playwright starts: while its event loop runs, Django refuses the ORM in this thread.
    admin = an_admin()
    a_token(admin)
    lookup(LONDON)
    flush_dirty(10)
    said: list[str] = []
    with chromium() as browser:
        context = browser.new_context(base_url=live_server.url, locale="en-GB")
        context.add_init_script(LISTEN)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: said.append(f"{page.url}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
        yield page, said, admin


def violations(said: list[str]) -> list[str]:
    return [line for line in said if "violat" in line or "Content Security Policy" in line]


def test_policy__no_page_asks_for_what_it_forbids(window: Any) -> None:
    page, said, admin = window
    page.goto("/login/")
    log_in(page, "/admin/login/")
    for url in PAGES:
        asked = url.format(admin=admin.pk)
        response = page.goto(asked)
        page.wait_for_load_state("networkidle")
        assert response.status == (404 if url == "/nothing/" else 200), url
        assert page.url.endswith(asked)
    assert violations(said) == []


def test_policy__a_token_is_made_and_shown(window: Any) -> None:
    page, said, _ = window
    log_in(page, "/admin/login/?next=/admin/geocache/apitoken/add/")
    page.get_by_label("Name").fill("in the browser")
    page.get_by_role("button", name="Save", exact=True).click()
    assert page.get_by_label("Token:").input_value().startswith("geocache_")
    assert violations(said) == []


def test_policy__locked_out_and_expired_form(window: Any) -> None:
    page, said, _ = window
    for _ in range(10):
        log_in_wrongly(page)
    assert "Wait 15 minutes" in page.locator("main").inner_text()
    page.goto("/login/")
    page.context.clear_cookies()
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    assert "This form has expired" in page.locator("main").inner_text()
    assert violations(said) == []


def log_in_wrongly(page: Page) -> None:
    page.goto("/admin/login/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_load_state()


def test_policy__stops_what_is_injected(window: Any) -> None:
    """The policy is in force, and this test would notice a violation."""
    page, said, _ = window
    page.goto("/login/")
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'hacked'";
            document.body.append(script);
            document.body.setAttribute("style", "color: red");
        }"""
    )
    page.wait_for_timeout(200)
    assert page.title() != "hacked"
    assert len(violations(said)) >= 2
