"""Two workers of gunicorn, commands, and a cache that hangs: what the page of each worker shows."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from tests.support import processes
from tests.support.redis_server import a_redis_server, free_port

pytestmark = [pytest.mark.cache_decides, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

TOKEN = "a-secret-of-this-test"
# The site, and beside it look-ups that no limit of the API counts. A worker names itself.
SITE = """
import os
from project.wsgi import application as site
from geocache.lookup import lookup

def application(environ, start_response):
    def start(status, headers, *given):
        return start_response(status, [*headers, ("X-Worker", str(os.getpid()))], *given)

    if environ["PATH_INFO"].startswith("/look/"):
        lookup(environ["PATH_INFO"].removeprefix("/look/"))
        start("200 OK", [])
        return [b""]
    return site(environ, start)
"""


class Site:
    """A site that runs, and what its pages say."""

    def __init__(self, bind: str) -> None:
        self.bind = bind

    def ask(self, path: str) -> tuple[str, str]:
        """Return the worker that has answered, and the page."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with urlopen(Request(f"http://{self.bind}{path}", headers=headers), timeout=20) as response:
            return response.headers["X-Worker"], response.read().decode()

    def is_up(self) -> bool:
        try:
            return bool(self.ask("/health/live"))
        except URLError:
            return False

    def look_up(self, addresses: list[str]) -> set[str]:
        """Look each up once, through whichever worker takes it; return the workers."""
        with ThreadPoolExecutor(4) as pool:
            return set(dict(pool.map(self.ask, [f"/look/{one}" for one in addresses])))

    def pages(self) -> dict[str, dict[str, float]]:
        """Return the samples of the page of each of two workers."""
        found: dict[str, dict[str, float]] = {}
        for _ in range(50):
            # Several at once: one alone is mostly taken by the same worker.
            with ThreadPoolExecutor(6) as pool:
                texts = dict(pool.map(self.ask, ["/metrics"] * 6))
            found |= {worker: samples_of(text) for worker, text in texts.items()}
            if len(found) == 2:
                return found
        raise AssertionError("one worker answers all requests")

    def sums(self, name: str) -> set[float]:
        """Return the sums of the samples of one name: one number where both pages agree."""
        return {
            sum(value for sample, value in page.items() if sample.partition("{")[0] == name)
            for page in self.pages().values()
        }


def samples_of(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


@contextmanager
def a_site(folder: Path, *options: str, **overrides: str) -> Iterator[Site]:
    (folder / "counted_site.py").write_text(SITE)
    bind = f"127.0.0.1:{free_port()}"
    given = ["--workers=2", "--threads=2", f"--pythonpath={folder}", f"--bind={bind}", *options]
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *given, "counted_site:application"],
        cwd=processes.ROOT,
        env=processes.environment(GEOCACHE_METRICS_TOKEN=TOKEN, **overrides),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    site = Site(bind)
    try:
        processes.wait_until(site.is_up)
        yield site
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def addresses(block: int, count: int = 40) -> list[str]:
    return [f"20.0.{block}.{number}" for number in range(count)]


def run(*command: str, **overrides: str) -> None:
    finish(processes.start(*command, **overrides))


def finish(process: subprocess.Popen[str]) -> None:
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output


def test_workers__each_shows_what_all_have_counted(tmp_path: Path) -> None:
    with a_site(tmp_path, "--preload") as site:
        workers = site.look_up(addresses(1)) | site.look_up(addresses(2))
        assert len(workers) == 2
        # Not twice, as the parent of forked workers has counted before them.
        processes.wait_until(lambda: site.sums("geocache_lookups_total") == {80})
        run("lookup_geo", *addresses(3, 5))
        run("run_geo", "--only", "geo_cache_flush")
        finish(processes.start_script("from geocache.lookup import lookup; lookup('20.0.4.1')"))
        assert site.sums("geocache_lookups_total") == {86}
        assert site.sums("geocache_provider_queries_total") == {86}
        assert site.sums("geocache_flushed_rows_total") == {85}
        assert site.sums("geocache_flushes_total") == {1}
        assert site.sums("geocache_job_runs_total") == {1}


@pytest.mark.any_services
def test_workers__while_redis_hangs_a_scrape_is_short_and_what_is_counted_comes_later(
    tmp_path: Path, settings: Any
) -> None:
    with (
        a_redis_server(tmp_path, settings) as server,
        a_site(tmp_path, CACHE_URL=f"{server.url}?socket_timeout=0.6") as site,
    ):
        site.look_up(addresses(1))
        processes.wait_until(lambda: site.sums("geocache_lookups_total") == {40})
        server.stall()
        try:
            site.look_up(addresses(2, 2))
            times: list[float] = []
            found: dict[str, float] = {}

            def is_noticed() -> bool:
                started = time.monotonic()
                found.clear()
                found.update(samples_of(site.ask("/metrics")[1]))
                times.append(time.monotonic() - started)
                return found['geocache_part_up{part="counters"}'] == 0

            # Not at once: a part that is late for a moment is as it was before.
            processes.wait_until(is_noticed)
        finally:
            server.go_on()
        # Not the worst: the machine of a test run may be busy.
        assert sorted(times)[len(times) // 2] < 1, times
        assert found['geocache_part_up{part="cache"}'] == 0
        assert found['geocache_part_up{part="flushes"}'] == 1
        assert 'geocache_lookups_total{tier="provider"}' not in found
        processes.wait_until(lambda: site.sums("geocache_lookups_total") == {42})
        assert site.sums("geocache_written_through_answers_total") == {2}
