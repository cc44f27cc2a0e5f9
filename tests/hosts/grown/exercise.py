"""Use geocache as this host's visitors and operators do; print what happened as one JSON object."""

import io
import json
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import django

django.setup()

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.messages import get_messages
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from django.urls import Resolver404, get_script_prefix, resolve, reverse
from visits.models import Visit

from geocache.lookup import lookup
from geocache.models import GeoCache

ADDRESSES = ["81.2.69.142", "2a02:6b8::1", "9.9.9.9"]
LISTED = "81.2.69.7\n2a02:6b8::/48\n"
# They end the session, or want a script's parameters.
NOT_OPENED = ("logout", "__debug__")
# A page with other parameters shows nothing new.
VISITS_OF_A_VIEW = 2


def below(url):
    """Return a link as the web server hands it on: without the prefix that it takes off."""
    prefix = get_script_prefix()
    # Django's admin leads to the site without the last slash of its prefix.
    if url + "/" == prefix:
        return "/"
    return "/" + url.removeprefix(prefix) if url.startswith(prefix) else ""


class Links(HTMLParser):
    """What a page leads to: links, its forms' targets, and files that it loads."""

    def __init__(self):
        super().__init__()
        self.read, self.posted, self.loaded, self.language = [], [], [], ""

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "html":
            self.language = given.get("lang", "")
        elif tag == "a":
            # An anchor that scripts of a theme use has no target at all.
            self.read.append(given.get("href", "#") or "None")
        elif tag == "form":
            is_posted = given.get("method", "").lower() == "post"
            (self.posted if is_posted else self.read).append(given.get("action", ""))
        elif tag in ("img", "script"):
            self.loaded.append(given.get("src", ""))
        elif tag == "link":
            self.loaded.append(given.get("href", ""))


class Crawl:
    """All pages below an address, and what they lead to."""

    def __init__(self, client, start, *further):
        self.client, self.start = client, start
        self.answers, self.names, self.languages = {}, set(), set()
        self.dead, self.unframed, self.framed, self.without_attribution = [], [], [], []
        self._waiting, self._visits = [start, *(start + one for one in further)], Counter()
        while self._waiting:
            self._open(self._waiting.pop(0))

    def report(self):
        kept = ("answers", "dead", "framed", "unframed", "without_attribution")
        of_sets = {name: sorted(getattr(self, name)) for name in ("names", "languages")}
        return {name: getattr(self, name) for name in kept} | of_sets

    def _open(self, url):
        match = self._match(url)
        # What the URL configuration does not have, a middleware may redirect.
        place = match.route if match else url
        if url in self.answers or self._visits[place] >= VISITS_OF_A_VIEW:
            return
        self._visits[place] += 1
        answer = self.client.get(below(url), REMOTE_ADDR=ADDRESSES[0])
        self.answers[url] = answer.status_code
        if answer.status_code in (301, 302):
            self._follow(url, answer["Location"])
        if not url.startswith(self.start) or answer.status_code >= 400:
            return
        if match is not None:
            self.names.add(match.url_name)
        is_page = answer.get("Content-Type", "").startswith("text/html") and not answer.streaming
        if is_page and answer.status_code == 200:
            self._read(url, answer.text)

    def _read(self, url, text):
        page = Links()
        page.feed(text)
        self.languages.add(page.language)
        (self.framed if "frame-of-the-host" in text else self.unframed).append(url)
        if "includes GeoLite2 data" not in text:
            self.without_attribution.append(url)
        for link in page.read:
            self._follow(url, link)
        for link in page.posted:
            if self._match(urljoin(url, link)) is None:
                self.dead.append(f"{url}: {link}")
        for link in page.loaded:
            self._load(url, link)

    def _follow(self, url, link):
        if link == "None":
            self.dead.append(f"{url}: {link}")
        elif link.split("#")[0] and not link.startswith(("http", "mailto:", "data:")):
            target = urljoin(url, link.split("#")[0])
            if not below(target):
                self.dead.append(f"{url}: {link}")
            elif not any(part in target for part in NOT_OPENED):
                self._waiting.append(target)

    def _load(self, url, link):
        """Look for a static file where the web server would."""
        path = urlsplit(urljoin(url, link)).path
        if link.startswith(("data:", "http")) or not path.startswith(settings.STATIC_URL):
            return
        if not (Path(settings.STATIC_ROOT) / path.removeprefix(settings.STATIC_URL)).is_file():
            self.dead.append(f"{url}: {link}")

    def _match(self, url):
        try:
            return resolve(urlsplit(below(url)).path)
        except Resolver404:
            return None


def output_of(command, *arguments, **options):
    """Return what a command of ``manage.py`` writes."""
    out = io.StringIO()
    try:
        call_command(command, *arguments, stdout=out, stderr=out, **options)
    except SystemCheckError as error:
        return str(error)
    return out.getvalue()


def look_up_and_flush():
    lines = output_of("lookup_geo", *ADDRESSES, is_json=True).splitlines()
    report = {"looked_up": [json.loads(line) for line in lines]}
    report["flushed"] = json.loads(output_of("flush_geo", is_json=True))
    lookup("81.2.69.2")
    # All jobs that are due, without a scheduler.
    report["jobs"] = json.loads(output_of("run_geo", is_json=True))["jobs"]
    report["rows"] = GeoCache.objects.count()
    (settings.BASE_DIR / "listed.txt").write_text(LISTED)
    report["imported"] = output_of("import_geo", str(settings.BASE_DIR / "listed.txt"))
    return report


def use_admin(owner):
    """Press "Flush now" and run an action on the list; return whether each was a success."""
    lookup("81.2.69.3")
    flushed = owner.post(below(reverse("admin:geocache_geocache_flush")))
    row = GeoCache.objects.get(address="81.2.69.3")
    told = {"action": "resolve_chosen_again", "_selected_action": [str(row.pk)]}
    acted = owner.post(below(reverse("admin:geocache_geocache_changelist")), told)
    return [[m.level_tag for m in get_messages(one.wsgi_request)][-1] for one in (flushed, acted)]


def main(pages, admin):
    report = {"check": output_of("check")}
    for alias in settings.DATABASES:
        if alias != "replica":
            call_command("migrate", database=alias, verbosity=0)
    report["files_of_geocache"] = (settings.BASE_DIR / "var").exists()
    call_command("collectstatic", interactive=False, verbosity=0)
    report |= look_up_and_flush()

    Visit.objects.create(ip=ADDRESSES[0])
    users = get_user_model()
    by = {users.USERNAME_FIELD: "owner@example.org"}
    stranger, owner = Client(), Client()
    owner.force_login(users.objects.create_superuser(**by, password=None))
    report["welcome"] = stranger.get("/", follow=True).text
    refused = stranger.get(f"/{pages}")
    report["stranger"] = [refused.status_code, refused.get("Location", "")]

    # The log names a proxy that is not trusted.
    owner.get(f"/{pages}lookup/mine/", headers={"x-forwarded-for": ADDRESSES[0]})

    prefix = get_script_prefix()
    report["pages"] = Crawl(owner, prefix + pages, f"lookup/?ip={ADDRESSES[0]}").report()
    report["dashboard"] = owner.get(f"/{pages}").text
    report["api"] = owner.get(f"/{pages}api/lookup/{ADDRESSES[0]}").json()
    report["use_of_admin"] = use_admin(owner)
    report["admin"] = Crawl(owner, prefix + admin).report()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
