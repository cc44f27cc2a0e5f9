"""The pages as people use them: in a real browser, with JavaScript and without."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Download, Page, expect

from tests.conftest import require
from tests.factories import LONDON, MOSCOW_V6, an_admin
from tests.support import browser as support_browser
from tests.support.browser import CHROMIUM, chromium

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(params=[True, False], ids=["javascript", "no-javascript"])
def page(request: Any, live_server: Any) -> Iterator[Page]:
    """A browser window on the live server; what it asks of another host fails the test."""
    require(CHROMIUM.exists(), "Chromium")
    # Before Playwright starts: while its event loop runs, Django refuses the ORM in this thread.
    an_admin()
    foreign: list[str] = []
    problems: list[str] = []
    with chromium() as browser:
        context = browser.new_context(
            base_url=live_server.url,
            java_script_enabled=request.param,
            locale="en-GB",
            timezone_id="Asia/Tokyo",
        )
        window = context.new_page()
        window.set_default_timeout(10_000)
        window.on(
            "request",
            lambda asked: asked.url.startswith(live_server.url) or foreign.append(asked.url),
        )
        window.on(
            "response",
            lambda given: given.status < 400 or problems.append(f"{given.status} {given.url}"),
        )
        yield window
    assert foreign == []
    assert problems == []


def log_in(page: Page) -> None:
    support_browser.log_in(page, "/lookup/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Where is this IP address?")


def content_of(download: Download, folder: Path) -> str:
    path = folder / "download"
    download.save_as(path)
    return path.read_text()


def test_lookup__log_in_paste_read_and_log_out(page):
    page.goto("/lookup/")
    expect(page).to_have_url("/login/?next=/lookup/")
    log_in(page)
    expect(page.get_by_text("Nothing looked up yet")).to_be_visible()

    page.get_by_label("IP addresses").fill(f"# banned today\n{LONDON} sshd\n1.2.3.4.5\n10.0.0.1")
    page.get_by_role("button", name="Look up").click()

    london = page.get_by_role("row").filter(has_text=LONDON)
    expect(london).to_contain_text("🇬🇧 United Kingdom")
    expect(page.get_by_role("row").filter(has_text="10.0.0.1")).to_contain_text("private")
    expect(page.get_by_role("alert")).to_contain_text("Line 3: “1.2.3.4.5” is not an IP address.")
    expect(page.get_by_text("This database is old.")).to_be_visible()

    page.get_by_role("link", name=LONDON).click()
    expect(page).to_have_url(f"/lookup/?ip={LONDON}")
    expect(page.get_by_role("heading", name="1 answer")).to_be_visible()

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    page.goto("/lookup/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_lookup__file_is_answered_and_downloaded(page, tmp_path):
    log_in(page)
    log = tmp_path / "auth.log"
    log.write_text(f"sshd: Failed password from {LONDON} port 22\nsshd: from 2a02:6b8::1 port 22\n")
    page.get_by_label("Or a file").set_input_files(log)
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_role("heading", name="2 answers")).to_be_visible()
    expect(page.get_by_role("img", name="Map of 2 places")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "answers.csv"
    assert LONDON in content_of(download.value, tmp_path)


@pytest.mark.parametrize("width", [1280, 390])
def test_addresses__filter_open_a_detail_and_download(page, width, tmp_path):
    page.set_viewport_size({"width": width, "height": 844})
    log_in(page)
    page.goto(f"/lookup/?ip={LONDON}&ip=2a02:6b8::1")
    page.goto("/admin/geocache/geocache/")
    page.get_by_role("button", name="Flush now").click()
    page.goto("/addresses/")
    page.get_by_label("Country").select_option(label="Russia")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url("/addresses/?country=RU")
    expect(page.locator(".answers tbody tr")).to_have_count(1)
    for element in page.locator("main, .filter, .answers tbody tr").all():
        box = element.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    content = content_of(download.value, tmp_path)
    assert "2a02:6b8::1" in content
    assert LONDON not in content

    page.get_by_role("link", name="2a02:6b8::1").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2a02:6b8::1")
    expect(page.get_by_text("is answered by the hot entry")).to_be_visible()
    page.get_by_role("link", name="In the admin").click()
    expect(page.locator("#content")).to_contain_text("2a02:6b8::1")


def test_addresses__turn_pages_and_go_on_to_a_network(page):
    log_in(page)
    page.get_by_label("IP addresses").fill("\n".join(f"1.2.{number}.4" for number in range(60)))
    page.get_by_role("button", name="Look up").click()
    flush_one(page, count=61)

    page.goto("/addresses/?sort=address")
    expect(page.locator(".answers tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".answers tbody tr")).to_have_count(11)
    expect(page.get_by_role("link", name="Next")).to_be_hidden()
    page.get_by_role("link", name="Previous").click()
    expect(page.locator(".answers tbody tr").first).to_contain_text("1.2.0.4")
    expect(page.get_by_role("link", name="Previous")).to_be_hidden()

    page.get_by_label("Network", exact=True).fill("1.2.30.0/24")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".answers tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Show all").click()
    expect(page.locator(".answers tbody tr")).to_have_count(50)


def test_addresses__filter_that_cannot_be_used_is_said(page):
    log_in(page)
    page.goto("/addresses/")
    expect(page.get_by_text("No address is in the table yet.")).to_be_visible()
    page.get_by_label("Network", exact=True).fill("here")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("alert")).to_contain_text("“here” is not a network")
    expect(page.get_by_label("Network", exact=True)).to_have_value("here")


def test_lookup__my_address(page):
    log_in(page)
    page.get_by_role("link", name="My address").click()
    expect(page).to_have_url("/lookup/?ip=127.0.0.1#answers")
    expect(page.get_by_role("row").filter(has_text="127.0.0.1")).to_contain_text("loopback")


def test_lookup__stays_readable_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    log_in(page)
    addresses = "2001:4860:4860:ffff:ffff:ffff:ffff:8888\n" + LONDON
    page.get_by_label("IP addresses").fill(addresses)
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_role("heading", name="2 answers")).to_be_visible()
    for element in page.locator("main, table.answers, .answers tbody tr, textarea").all():
        box = element.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_lookup__keyboard_finds_the_skip_link_first(page):
    log_in(page)
    page.goto("/lookup/")
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to the content")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page).to_have_url("/lookup/#main")


def test_admin__flush_now_writes_what_was_looked_up(page):
    log_in(page)
    page.goto(f"/lookup/?ip={LONDON}")
    page.get_by_role("link", name="Admin").click()
    page.get_by_role("link", name="Addresses").first.click()
    expect(page.get_by_text("Pending: 1")).to_be_visible()
    page.get_by_role("button", name="Flush now").click()
    expect(page.get_by_text("1 flushed, 0 rejected, 0 pending")).to_be_visible()
    expect(page.get_by_role("link", name=LONDON)).to_be_visible()


def test_admin__filter_and_forget_an_address(page):
    log_in(page)
    page.goto(f"/lookup/?ip={LONDON}&ip={MOSCOW_V6}")
    page.get_by_role("link", name="Admin").click()
    page.locator("#geocache-panel").get_by_role("button", name="Flush now").click()
    expect(page.get_by_text("2 flushed, 0 rejected, 0 pending")).to_be_visible()

    page.get_by_role("link", name="United Kingdom (1)").click()
    expect(page.get_by_role("link", name=LONDON)).to_be_visible()
    expect(page.get_by_role("link", name=MOSCOW_V6)).to_be_hidden()

    page.get_by_role("row").filter(has_text=LONDON).get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("Forget the selected addresses")
    # Its name is "Go" in Django 5.2 and "Run" in 6.1.
    page.locator("button[name=index]").click()
    expect(page.get_by_text("Forget what is known about 1 address?")).to_be_visible()
    page.get_by_role("button", name="sure").click()
    expect(page.get_by_text("1 address is forgotten.")).to_be_visible()
    expect(page.get_by_role("link", name=LONDON)).to_be_hidden()

    page.get_by_role("link", name=MOSCOW_V6, exact=True).click()
    page.get_by_role("link", name="View on site").click()
    expect(page).to_have_url(f"/addresses/{MOSCOW_V6}/")


def flush_one(page: Page, count: int = 1) -> None:
    """Look an address up, and have it flushed, with those looked up before."""
    page.goto(f"/lookup/?ip={LONDON}")
    page.goto("/admin/geocache/geocache/")
    page.get_by_role("button", name="Flush now").click()
    expect(page.get_by_text(f"{count} flushed")).to_be_visible()


def test_dashboard__tells_a_new_installation_what_to_do_and_then_counts(page):
    log_in(page)
    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")
    expect(page.get_by_role("heading", name="No address is in the table yet")).to_be_visible()
    expect(page.get_by_role("link", name="Look up an address")).to_be_visible()

    flush_one(page)
    page.get_by_role("link", name="View site").click()
    expect(page.get_by_role("heading", name="Where they are")).to_be_visible()
    expect(page.get_by_role("row", name="United Kingdom 1 100.0%")).to_be_visible()
    expect(page.locator(".map .level-5 title").first).to_have_text("United Kingdom: 1")
    expect(page.get_by_role("img", name="Answers of each of the last 30 days")).to_be_visible()
    table = page.locator("section", has_text="Last flushes").get_by_role("table")
    expect(table).to_be_hidden()
    page.locator("section", has_text="Last flushes").get_by_text("As a table").click()
    expect(table).to_be_visible()


def test_dashboard__fits_every_screen_in_light_and_dark(page):
    log_in(page)
    flush_one(page)
    page.goto("/")
    grounds = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (320, 390, 768, 1280, 1920):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def test_dashboard__map_is_no_stop_of_the_tab_key(page):
    log_in(page)
    flush_one(page)
    page.goto("/")
    assert page.locator(".map a:not([tabindex='-1'])").count() == 0
    table = page.get_by_role("group", name="Where they are")
    table.focus()
    expect(table).to_be_focused()


def test_times__are_in_the_zone_of_the_reader_where_there_is_javascript(page, request):
    log_in(page)
    page.goto(f"/lookup/?ip={LONDON}")
    zone = "GMT+9" if request.node.callspec.params["page"] else "UTC"
    expect(page.locator("table.answers time")).to_contain_text(zone)


@pytest.mark.parametrize("width", [1920, 390])
def test_settings__change_one_and_take_it_back(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    support_browser.log_in(page, "/admin/login/?next=/admin/geocache/settingoverride/")
    for element in page.locator("#content, #content-main .module tr").all():
        box = element.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    page.get_by_role("link", name="Change Time between two flushes").click()
    page.get_by_label("Time between two flushes").fill("0")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#content-main")).to_contain_text("Enter a number from 1 to 86,400.")
    page.get_by_label("Time between two flushes").fill("30")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messagelist")).to_contain_text("Time between two flushes is now 30 s.")
    page.get_by_role("button", name="Time between two flushes: back to 60 s").click()
    expect(page.locator(".messagelist")).to_contain_text("Time between two flushes is reset.")
    page.get_by_role("link", name="Change Retention of addresses").click()
    page.get_by_label("Retention of addresses").fill("30")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("This cannot be undone.")
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
