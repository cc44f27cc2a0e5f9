"""Change settings in the admin, and measure when each process follows."""

import http.cookiejar
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import html5lib

from tests.outages import watch
from tests.outages.site import ADMIN, FLUSH_SECONDS, PASSWORD, WORKER_COUNT, Site

CHANGES: Final = "/admin/geocache/settingoverride/"
LOG_IN: Final = "/admin/login/"
REDIRECTIONS: Final = (302, 303)
LIMIT_SECONDS: Final = 10.0
# How long is waited for a process that does not follow.
PATIENCE_SECONDS: Final = 30.0
# Answers in a row, after which a worker is believed to have followed.
SETTLED_COUNT: Final = 20
FAST_SECONDS: Final = 1
# Between two intervals: how far the time from run to run may be from what is set.
TOLERANCE: Final = 0.3
TAG: Final = "{http://www.w3.org/1999/xhtml}"
LAST_FLUSH: Final = "SELECT started_at FROM geocache_jobrun WHERE job = 'geo_cache_flush'"


class Browser:
    """An administrator's: it keeps cookies, and sends forms as they stand in their page."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        jar = http.cookiejar.CookieJar()
        cookies = urllib.request.HTTPCookieProcessor(jar)
        self._opener = urllib.request.build_opener(cookies, NoRedirect)

    def log_in(self) -> None:
        page = self.get(LOG_IN)
        assert self.send(page, LOG_IN, username=ADMIN, password=PASSWORD) is None, "not let in"

    def has(self, path: str) -> bool:
        """Tell whether there is a page. The admin asks strangers to log in for any address."""
        with suppress(AssertionError):
            return bool(self.get(path))
        return False

    def get(self, path: str) -> str:
        """Return a page."""
        page = self._open(urllib.request.Request(self.origin + path))
        assert page is not None, f"{path} redirects"
        return page

    def send(self, page: str, path: str, **values: str) -> str | None:
        """Fill in and send the form of a page, and return what came back; None for a redirection.

        A page that is redirected to is not asked for: that would be another request, which any
        process may answer.
        """
        action, fields = form_of(page, list(values))
        target = urllib.parse.urljoin(self.origin + path, action)
        headers = {"Referer": self.origin + path, "Origin": self.origin}
        body = urllib.parse.urlencode(fields | values).encode()
        return self._open(urllib.request.Request(target, body, headers))

    def _open(self, request: urllib.request.Request) -> str | None:
        try:
            with self._opener.open(request, timeout=60) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            if error.code in REDIRECTIONS:
                return None
            raise AssertionError(f"{request.full_url}: {error}: {error.read()[:500]!r}") from error


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Go nowhere by itself."""

    def redirect_request(self, *_: object) -> None:
        return None


def form_of(page: str, names: list[str]) -> tuple[str, dict[str, str]]:
    """Return where the form with all of these fields is sent, and what stands in it."""
    for form in html5lib.parse(page).iter(f"{TAG}form"):
        fields = dict(_fields(form))
        if form.get("method", "").lower() == "post" and fields.keys() >= set(names):
            filled = {name: value for name, value in fields.items() if value is not None}
            return form.get("action", ""), filled
    raise AssertionError(f"no form with {names} in {page[:2000]}")


def _fields(form: Any) -> Any:
    for one in form.iter():
        name, kind = one.get("name"), one.get("type", "")
        if not name or kind in ("submit", "button", "image"):
            continue
        if one.tag == f"{TAG}select":
            chosen = [o for o in one.iter(f"{TAG}option") if o.get("selected") is not None]
            yield name, chosen[0].get("value") if chosen else None
        elif one.tag == f"{TAG}textarea":
            yield name, one.text or ""
        elif one.tag == f"{TAG}input":
            is_off = kind in ("checkbox", "radio") and one.get("checked") is None
            yield name, None if is_off else one.get("value", "on" if kind == "checkbox" else "")


def follow(site: Site, rounds: int) -> dict[str, Any] | None:
    """Change two settings ``rounds`` times; return when workers and scheduler followed.

    None where the site has no page for it.
    """
    browser = Browser(site.port)
    browser.log_in()
    if not browser.has(CHANGES):
        return None
    workers, scheduler = [], []
    for number in range(rounds):
        # The site begins with it on, and with the longer interval.
        is_public, seconds = bool(number % 2), FLUSH_SECONDS if number % 2 else FAST_SECONDS
        with ThreadPoolExecutor() as pool:
            saved = _save(browser, "PUBLIC_LOOKUP", "yes" if is_public else "no")
            web = pool.submit(_workers_after, site, 200 if is_public else 401, saved)
            saved = _save(browser, "FLUSH_INTERVAL_SECONDS", str(seconds))
            scheduler.append(_scheduler_after(site, seconds, saved))
            workers.append(web.result())
    return {"workers": workers, "scheduler": scheduler}


def is_good(found: dict[str, Any]) -> bool:
    """Tell whether each process followed each change in time."""
    times = [one for round_ in found["workers"] for one in round_.values()]
    times += [one["followed_seconds"] for one in found["scheduler"]]
    complete = all(len(one) == WORKER_COUNT for one in found["workers"])
    return complete and all(one is not None and one <= LIMIT_SECONDS for one in times)


def _save(browser: Browser, name: str, value: str) -> float:
    """Change a setting, and return the moment in which that was sent."""
    path = page_of(browser, name)
    page: str | None = browser.get(path)
    for _ in range(2):
        began = time.monotonic()
        page = browser.send(str(page), path, value=value)
        if page is None:
            return began
        # It says what follows from it, and asks once more.
    raise AssertionError(f"{name} was not changed: {str(page)[:5000]}")


def page_of(browser: Browser, name: str) -> str:
    """Return the address of the page on which a setting is changed."""
    for link in re.findall(r'href="([^"]+)"', browser.get(CHANGES)):
        if f"/{name}/" in link:
            return urllib.parse.urljoin(CHANGES, link)
    raise AssertionError(f"the admin has no page for {name}")


def _workers_after(site: Site, status: int, saved: float) -> dict[str, float]:
    """Return after how many seconds each worker answered with a status from then on."""
    since: dict[str, float] = {}
    until = saved + PATIENCE_SECONDS
    settled = 0
    while time.monotonic() < until and settled < SETTLED_COUNT:
        # A known address: only the setting decides.
        reply = watch.ask(site.port, f"{watch.LOOKUP}81.2.69.142")
        if reply.status != status:
            since.pop(reply.process, None)
            settled = 0
        else:
            since.setdefault(reply.process, round(time.monotonic() - saved, 1))
            settled += len(since) == WORKER_COUNT
        time.sleep(0.02)
    return since


def _scheduler_after(site: Site, seconds: int, saved: float) -> dict[str, float | None]:
    """Return after how many seconds the flush ran in another interval, and in which."""
    runs: list[datetime] = []
    with site.postgres.connection() as connection:
        while time.monotonic() < saved + PATIENCE_SECONDS:
            found = connection.execute(LAST_FLUSH).fetchone()
            if found and found[0] not in runs:
                runs.append(found[0])
            gaps = [(b - a).total_seconds() for a, b in pairwise(runs)]
            # Two of them, as one may be by chance.
            if len(gaps) > 1 and all(abs(gap - seconds) < TOLERANCE * seconds for gap in gaps[-2:]):
                passed = time.monotonic() - saved - sum(gaps[-2:])
                return {"followed_seconds": max(round(passed, 1), 0), "interval": gaps[-1]}
            time.sleep(0.05)
    return {"followed_seconds": None, "interval": None}
