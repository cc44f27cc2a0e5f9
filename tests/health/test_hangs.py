"""Probes of a real process while a real part of it hangs."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import environment, run
from tests.support.processes import ROOT, wait_until
from tests.support.redis_process import RedisServer, running

pytestmark = [pytest.mark.slow, pytest.mark.any_services]
LIMIT_MS = 200


class Site:
    """A process that probes itself."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def probe(self, count: int = 1) -> dict[str, Any]:
        """Ask ``count`` times; return the last answer, and what all took."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=30)
        told: dict[str, Any] = json.loads(line)
        return told


@contextmanager
def a_site(folder: Path, **variables: str) -> Iterator[Site]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.health.probes"],
        cwd=ROOT,
        env=environment(folder, **variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Site(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    assert run(made, "migrate", "-v0").returncode == 0
    return made


def assert_bounded(site: Site, silent: str) -> None:
    told = site.probe(50)
    # The machine of CI may stop any one probe; none may wait for what hangs.
    assert told["best_ms"] < LIMIT_MS, told
    assert told["threads"] <= 4, told
    assert told["parts"][silent] in ("critical", "warning"), told
    # Of a busy machine, another part may be late for a moment.
    wait_until(lambda: site.probe()["code"] == 200)


def assert_well(site: Site) -> None:
    told = site.probe(50)
    assert told["best_ms"] < LIMIT_MS, told
    assert told["code"] == 200, told
    wait_until(lambda: site.probe()["threads"] == 0)


def test_ready__a_redis_that_is_well_and_then_stopped(folder: Path) -> None:
    with (
        running(RedisServer(folder)) as redis,
        a_site(folder, CACHE_URL=redis.url) as site,
    ):
        # The first of a process may take longer: it tries what the cache can do.
        wait_until(lambda: site.probe()["parts"]["cache"] == "ok")
        assert_well(site)
        redis.stall()
        # Until a read is known to hang, what was read before counts.
        wait_until(lambda: site.probe()["parts"]["cache"] != "ok")
        assert_bounded(site, "cache")
        redis.go_on()


def test_ready__a_postgres_that_accepts_and_never_answers(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        url = f"postgres://postgres@127.0.0.1:{port}/postgres"
        with a_site(folder, DATABASE_URL=url) as site:
            wait_until(lambda: site.probe()["parts"]["cache"] == "ok")
            assert_bounded(site, "database")


def test_ready__a_provider_that_sleeps(folder: Path) -> None:
    with a_site(folder, DJANGO_SETTINGS_MODULE="tests.health.sleepy_settings") as site:
        wait_until(lambda: site.probe()["parts"]["database"] == "ok")
        assert_bounded(site, "provider")
