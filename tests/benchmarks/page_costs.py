"""What a page costs its server and its reader, asked for by staff."""

import gzip
import statistics
import time
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse

from geocache.models import GeoCache

# Each page should be there within this time, whatever the table.
BAR_SECONDS = 0.1
CHANGE_LIST = "admin:geocache_geocache_changelist"


@dataclass(frozen=True, slots=True)
class Page:
    """The name of a page's address, what stands in the address, and the query."""

    name: str
    args: tuple[str, ...] = ()
    query: str = ""

    @property
    def label(self) -> str:
        name = self.name.replace("admin:geocache_", "admin:")
        return " ".join([name, *self.args, self.query]).strip()

    @property
    def url(self) -> str:
        """Raises ``NoReverseMatch`` where this release has no such page."""
        return reverse(self.name, args=self.args) + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of each request, those of them on the processor, and the page's size in bytes."""

    seconds: list[float]
    cpu_seconds: list[float]
    query_count: int
    size: int
    gzip_size: int
    status: int


def pages() -> list[Page]:
    """Return the pages, with filters that leave many rows and few."""
    row = GeoCache.objects.filter(country_code="US").order_by("-resolved_at").first()
    assert row is not None
    filters = ["", "country=US", "country=IS", f"asn={row.asn}", f"country=US&asn={row.asn}"]
    listed = ["p=2", "p=90", "o=2", "answer=empty", "answer=found", "q=11.0.0.0/9"]
    listed += [f"q={row.address}", "q=nonsense", "resolved_at__year=2026", "country=US&o=2"]
    return [
        Page("geocache:dashboard"),
        Page("geocache:lookup"),
        Page("geocache:lookup", query="ip=81.2.69.142"),
        *(Page("geocache:addresses", query=query) for query in filters),
        Page("geocache:addresses", query="network=11.0.0.0/9"),
        Page("geocache:address", (row.address,)),
        Page("admin:index"),
        *(Page(CHANGE_LIST, query=query) for query in filters + listed),
        Page("admin:geocache_geocache_change", (row.address,)),
        Page("admin:geocache_flushrun_changelist"),
        Page("admin:geocache_flushrun_changelist", query="p=100"),
        Page("admin:geocache_rejectedentry_changelist"),
    ]


def print_head() -> None:
    """Name the columns. On a busy machine only the time on the processor tells pages apart."""
    times = "".join(f"{name:>10}" for name in ("best", "median", "worst", "cpu"))
    print(f"{'':<51}{times}{'queries':>9}{'page':>9}{'gzip':>9}")


def print_cost(page: Page, request_count: int) -> None:
    try:
        cost = measure(page.url, request_count)
    except NoReverseMatch:
        print(f"{page.label:<52}  (no such page)")
        return
    median = statistics.median(cost.seconds)
    shown = min(cost.seconds), median, max(cost.seconds), statistics.median(cost.cpu_seconds)
    times = [f"{seconds * 1e3:>7.1f} ms" for seconds in shown]
    remarks = [f"status {cost.status}"] if cost.status != 200 else []
    remarks += ["over the bar"] if median > BAR_SECONDS else []
    print(
        f"{page.label:<51}{''.join(times)}{cost.query_count:>9}"
        f"{cost.size / 1024:>6.0f} KB{cost.gzip_size / 1024:>6.1f} KB  {', '.join(remarks)}",
        flush=True,
    )


def measure(url: str, request_count: int) -> Cost:
    """Ask for a page once to count, then again and again to measure."""
    client = _staff()
    with CaptureQueriesContext(connection) as queries:
        content, status = _ask(client, url)
        # Now: the next request begins a new list.
        query_count = len(queries)
    seconds, cpu_seconds = [], []
    for _ in range(request_count):
        started, cpu_started = time.perf_counter(), time.process_time()
        _ask(client, url)
        cpu_seconds.append(time.process_time() - cpu_started)
        seconds.append(time.perf_counter() - started)
    size, gzip_size = len(content), len(gzip.compress(content, mtime=0))
    return Cost(seconds, cpu_seconds, query_count, size, gzip_size, status)


def _ask(client: Client, url: str) -> tuple[bytes, int]:
    """Return a whole page, also when it is streamed, and its status."""
    response = client.get(url)
    return response.getvalue(), response.status_code


def _staff() -> Client:
    user, _ = User.objects.get_or_create(
        username="benchmark", defaults={"is_staff": True, "is_superuser": True}
    )
    # A page that fails is one line of the table, with its status.
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client
