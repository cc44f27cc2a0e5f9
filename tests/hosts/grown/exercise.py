"""Use geocache as this host's visitors and operators do; print what happened as one JSON object."""

import io
import json
import sys
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import django

django.setup()

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from django.urls import get_script_prefix
from visits.models import Visit

from geocache.models import GeoCache

ADDRESSES = ["81.2.69.142", "2a02:6b8::1", "9.9.9.9"]
# They end the session, or want a script's parameters.
NOT_OPENED = ("logout", "__debug__")
# A page more often than this, with other parameters, shows nothing new.
VISITS_OF_A_PAGE = 3
PAGE_LIMIT = 250


class Links(HTMLParser):
    """The links of a page, and the targets of its forms that only read."""

    def __init__(self):
        super().__init__()
        self.found, self.title, self.in_title = [], "", False

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.in_title = tag == "title"
        if tag == "a":
            # An anchor that scripts of a theme use has no target at all.
            self.found.append(given.get("href", "#") or "None")
        elif tag == "form":
            self.found.append(given.get("action", "") if given.get("method") != "post" else "")
        elif tag in ("img", "script"):
            self.found.append(given.get("src", ""))
        elif tag == "link":
            self.found.append(given.get("href", ""))

    def handle_data(self, data):
        if self.in_title:
            self.title, self.in_title = data, False


def checked():
    """Return the ids of what ``check`` says."""
    out = io.StringIO()
    try:
        call_command("check", stderr=out, stdout=out)
    except SystemCheckError as error:
        return str(error)
    return out.getvalue()


def path_below(prefix, url):
    """Return a link as the web server hands it on: without the prefix that it takes off."""
    return "/" + url.removeprefix(prefix) if url.startswith(prefix) else None


def crawl(client, start):
    """Open pages from ``start``, and those that they name; return what each answered."""
    prefix = get_script_prefix()
    waiting, answers, seen, frames, dead = [start], {}, Counter(), {}, []
    while waiting and len(answers) < PAGE_LIMIT:
        url = waiting.pop(0)
        parts = urlsplit(url)
        if url in answers or seen[parts.path] >= VISITS_OF_A_PAGE:
            continue
        seen[parts.path] += 1
        if parts.path.startswith(prefix + settings.STATIC_URL.strip("/").split("/")[-1] + "/"):
            continue
        path = path_below(prefix, url)
        if path is None:
            dead.append(url)
            continue
        answer = client.get(path)
        answers[url] = answer.status_code
        if answer.status_code in (301, 302):
            waiting.append(urljoin(url, answer["Location"]))
            continue
        if not answer.get("Content-Type", "").startswith("text/html") or answer.streaming:
            continue
        page = Links()
        page.feed(answer.text)
        frames[url] = "frame-of-the-host" in answer.text
        for link in page.found:
            if link == "None":
                dead.append(f"{url}: {link}")
            elif link.split("#")[0] and not link.startswith(("http", "mailto:", "data:")):
                target = urljoin(url, link.split("#")[0])
                if not any(part in target for part in NOT_OPENED):
                    waiting.append(target)
    return answers, frames, dead


def main():
    report = {"check": checked()}
    for alias in settings.DATABASES:
        if alias != "replica":
            call_command("migrate", database=alias, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)

    out = io.StringIO()
    call_command("lookup_geo", *ADDRESSES, is_json=True, stdout=out)
    report["looked_up"] = [json.loads(line) for line in out.getvalue().splitlines()]
    out = io.StringIO()
    call_command("flush_geo", is_json=True, stdout=out)
    report["flushed"] = json.loads(out.getvalue())
    report["rows"] = GeoCache.objects.count()

    Visit.objects.create(ip=ADDRESSES[0])
    users = get_user_model()
    by = {users.USERNAME_FIELD: "owner@example.org"}
    stranger, owner = Client(), Client()
    owner.force_login(users.objects.create_superuser(**by, password=None))
    report["welcome"] = stranger.get("/", follow=True).text
    refused = stranger.get(sys.argv[1])
    report["stranger"] = [refused.status_code, refused.get("Location", "")]

    prefix = get_script_prefix()
    start = prefix + sys.argv[1].removeprefix("/")
    pages, frames, dead = crawl(owner, start)
    report |= {"pages": pages, "frames": frames, "dead_links": dead}
    admin, _, dead = crawl(owner, prefix + sys.argv[2].removeprefix("/"))
    report |= {"admin": admin, "dead_admin_links": dead}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
