"""``python -m tests.screenshots``: make the pictures of the README anew, in ``docs/screenshots``.

The addresses are the demo's, and so is where they are. The operators are invented, the database is
dated anew, and the answers are spread over a month: the pictures show a site that is in use.
"""

import io
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.browser import chromium, log_in

if TYPE_CHECKING:
    from geocache.models import GeoCache

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "screenshots"
COLOURS = 256
WIDE = ViewportSize(width=1280, height=860)
# Django's admin needs more room than a README has.
WIDER = ViewportSize(width=1440, height=968)
PHONE = ViewportSize(width=390, height=844)
START_SECONDS = 60
OPERATORS = [
    "Northwind Telecom",
    "Blue Harbour Hosting",
    "Aurora Fibre",
    "Cedar Cloud",
    "Meridian Mobile",
    "Lakeside Broadband",
    "Summit Networks",
    "Harvest Data Centres",
]
HOSTING = {"Blue Harbour Hosting", "Cedar Cloud", "Harvest Data Centres"}
# One address of each of these kinds, and one of the demo beside it. The demo would look them up.
VPN = "149.56.167.77"
HOSTED = "217.119.208.77"
NEIGHBOURS = {VPN: "149.56.167.1", HOSTED: "217.119.208.1"}
# Numbers for documentation. Source: RFC 5398.
FIRST_ASN = 64496
LOG = """\
sshd[811]: Failed password for root from 81.2.69.142 port 52114
sshd[811]: Failed password for admin from 2a02:6b8::1 port 40022
sshd[812]: Failed password for git from 192.3.76.129 port 33214
sshd[812]: Connection closed by 202.56.20.1 port 51312 [preauth]
sshd[812]: Invalid user pi from 123.203.168.1 port 60112
sshd[813]: Accepted publickey for deploy from 10.0.0.7 port 50500
"""


def main() -> None:
    """Fill a site that is thrown away, serve it, and take the pictures."""
    with tempfile.TemporaryDirectory(prefix="geocache-screenshots-") as folder:
        # The settings read it, here and in the processes that are started.
        for name in ("DATABASE_URL", "CACHE_URL", "GEOCACHE_DATABASES"):
            os.environ.pop(name, None)
        os.environ |= {"GEOCACHE_VAR_DIR": folder, "DJANGO_SETTINGS_MODULE": "project.settings"}
        import django

        django.setup()
        make_databases(Path(folder) / "databases")
        subprocess.run([*demo(), "--no-serve"], cwd=ROOT, check=True)
        make_it_look_used(random.Random(1))
        FOLDER.mkdir(exist_ok=True)
        with served() as url:
            take_all(url)


def demo() -> list[str]:
    return [sys.executable, "manage.py", "demo_geo"]


def make_databases(folder: Path) -> None:
    """Put a City database that looks new and one of invented operators where they are found."""
    from geocache.providers.mmdb import fallback_path
    from tests.factories import an_mmdb, set_build_epoch

    folder.mkdir()
    built_at = int((datetime.now() - timedelta(days=3)).timestamp())
    city = folder / "GeoLite2-City.mmdb"
    city.write_bytes(fallback_path().read_bytes())
    set_build_epoch(city, built_at)
    records = {f"{first}.0.0.0/8": operator(first) for first in range(1, 224) if first != 127}
    records |= {f"{first:x}00::/8": operator(first) for first in (0x24, 0x26, 0x28, 0x2A)}
    an_mmdb(
        folder / "GeoLite2-ASN.mmdb",
        records,
        database_type="GeoLite2-ASN",
        build_epoch=built_at,
    )


def operator(first: int) -> dict[str, object]:
    # Some have far more than others.
    number = min(first * 7919 % 23, first * 104729 % 11) % len(OPERATORS)
    return {
        "autonomous_system_number": FIRST_ASN + number,
        "autonomous_system_organization": OPERATORS[number],
    }


def make_it_look_used(chance: random.Random) -> None:
    """Spread answers and flushes over time, and let the admin log in."""
    from django.contrib.auth.models import User
    from django.utils import timezone

    from geocache.models import FlushRun, GeoCache
    from geocache.statistics.table import refresh_statistics

    admin = User.objects.get(username="admin")
    admin.email = "admin@example.org"  # or the demo would give it a new password
    admin.set_password("admin")
    admin.save()
    now = timezone.now()
    GeoCache.objects.upsert(
        replace(GeoCache.objects.get(pk=near).to_location(), address=address)
        for address, near in NEIGHBOURS.items()
    )
    GeoCache.objects.upsert(
        replace(row.to_location(), resolved_at=now, **kind_of(row, chance))
        for row in GeoCache.objects.all()
    )
    rows = list(GeoCache.objects.all())
    for row in rows:
        age = timedelta(days=min(chance.expovariate(1 / 9), 29.5))
        row.resolved_at = row.created_at = now - age - timedelta(seconds=chance.uniform(90, 4000))
    GeoCache.objects.bulk_update(rows, ["resolved_at", "created_at"], batch_size=500)
    FlushRun.objects.all().delete()
    FlushRun.objects.bulk_create(
        FlushRun(
            started_at=now - timedelta(minutes=minutes, seconds=20),
            seconds=chance.uniform(0.01, 0.09),
            flushed=int(chance.gammavariate(3, 9)) + 1,
            rejected=0,
            pending=0,
            timed_out=False,
        )
        for minutes in range(60)
    )
    refresh_statistics()


def kind_of(row: "GeoCache", chance: random.Random) -> dict[str, Any]:
    """Return what kind of network an address is in, as databases of several products say it."""
    from geocache.location import Details

    known: dict[str, Any] = {"isp": row.organization, "domain": "example.net"}
    hosted = {"user_type": "hosting", "connection_type": "Corporate"}
    if row.address == VPN or chance.random() < 0.04:
        seen_on = (datetime.now() - timedelta(days=2)).date()
        provider = {"provider_name": "Example VPN", "network_last_seen": seen_on.isoformat()}
        known["details"] = Details.of({"anonymizer_confidence": 99, **provider})
        return known | hosted | {"traits": ("anonymous", "anonymous_vpn", "hosting_provider")}
    if row.address == HOSTED or row.organization in HOSTING:
        known["details"] = Details.of({"static_ip_score": 42.5, "ipv4_32": 1})
        return known | hosted | {"traits": ("hosting_provider",)}
    if chance.random() < 0.01:
        known["traits"] = ("anonymous", "tor_exit_node")
    mobile = row.organization == "Meridian Mobile"
    users = ("cellular", "Cellular") if mobile else ("residential", "Cable/DSL")
    return known | dict(zip(("user_type", "connection_type"), users, strict=True))


@contextmanager
def served() -> Iterator[str]:
    """Run web server and scheduler; give the site's address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*demo(), "--port", str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        for line in process.stdout:
            if "Ctrl-C ends it" in line:
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=START_SECONDS)


def take_all(url: str) -> None:
    with chromium() as browser:
        for scheme in ("light", "dark"):
            context = browser.new_context(
                base_url=url, viewport=WIDE, color_scheme=scheme, locale="en-GB"
            )
            page = context.new_page()
            log_in(page)
            page.goto("/")
            take(page, f"dashboard-{scheme}")
            if scheme == "light":
                take_light(page)
                take_kinds(browser, page)


def take_light(page: Page) -> None:
    page.goto("/lookup/")
    page.get_by_label("IP addresses").fill(LOG)
    page.get_by_role("button", name="Look up").click()
    page.get_by_role("heading", name="6 answers").wait_for()
    take(page, "lookup")
    page.goto("/addresses/")
    take(page, "addresses")
    page.set_viewport_size(WIDER)
    page.goto("/admin/geocache/geocache/")
    page.get_by_label("Toggle navigation").click()
    page.evaluate("scrollTo(0, 0)")
    take(page, "admin")
    page.goto("/admin/geocache/settingoverride/FLUSH_INTERVAL_SECONDS/change/")
    page.get_by_label("Time between two flushes").fill("30")
    page.get_by_role("button", name="Save").click()
    take(page, "settings")
    page.set_viewport_size(PHONE)
    page.goto("/addresses/192.3.76.129/")
    take(page, "address-phone")


def take_kinds(browser: Browser, logged_in: Page) -> None:
    """Take an address that is a VPN exit and one in a data centre, in both languages."""
    for locale, ending in (("en-GB", ""), ("de-DE", "-de")):
        context = browser.new_context(
            viewport=WIDE, locale=locale, storage_state=logged_in.context.storage_state()
        )
        page = context.new_page()
        origin = logged_in.url.partition("//")[2].partition("/")[0]
        for address, name in ((VPN, "vpn"), (HOSTED, "data-centre")):
            page.goto(f"http://{origin}/addresses/{address}/")
            take(page, f"{name}{ending}")


def take(page: Page, name: str) -> None:
    """Keep a picture of what is seen, in a palette: a quarter of the bytes."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.thumbnail((WIDE["width"], WIDE["height"]))
    path = FOLDER / f"{name}.png"
    # Of the methods the one that keeps the few pixels of a flag in their colours.
    method = Image.Quantize.MAXCOVERAGE
    picture.quantize(COLOURS, method, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
