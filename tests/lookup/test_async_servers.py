"""Asynchronous code in real processes: under uvicorn with each of its loops, and as they end."""

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

import pytest

from tests.benchmarks.asynchronous import slow_service
from tests.support.deployed import running
from tests.support.processes import environment, start_script, wait_until
from tests.support.redis_server import free_port

pytestmark = [pytest.mark.slow, pytest.mark.any_services, pytest.mark.django_db(transaction=True)]

SETTINGS = "tests.support.async_site.settings"
# How long the service takes for an answer, and for one that no test waits for.
SECONDS, LONG_SECONDS = 0.5, 20.0
VISITORS = 40
# What no log may have.
FAULTS = ("Traceback", "SynchronousOnlyOperation", "never awaited", "never retrieved")


def connected(port: int) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20))


def ask(port: int, path: str, address: str) -> str:
    """Return the body of what a visitor with this address is answered."""
    with connected(port) as connection:
        connection.request("GET", path, headers={"X-Forwarded-For": address})
        return connection.getresponse().read().decode()


def is_answering(port: int) -> bool:
    try:
        return bool(ask(port, "/loop/", "20.0.0.1"))
    except OSError:
        return False


@contextmanager
def site(folder: Path, loop: str, seconds: float, *options: str) -> Iterator[tuple[int, Callable]]:
    """Serve the site; give its port, and what returns how long its end takes and its log."""
    port, log = free_port(), folder / "log"
    command = [sys.executable, "-m", "uvicorn", "project.asgi:application", f"--loop={loop}"]
    command += [f"--port={port}", "--no-access-log", "--no-proxy-headers", *options]
    with slow_service(seconds) as service:
        env = environment(
            DJANGO_SETTINGS_MODULE=SETTINGS,
            SERVICE_PORT=str(service),
            GEOCACHE_VAR_DIR=str(folder / "var"),
        )
        with running(command, env=env, log=log) as server:

            def end() -> tuple[float, str]:
                started = time.monotonic()
                server.send_signal(signal.SIGTERM)
                server.wait(timeout=60)
                return time.monotonic() - started, log.read_text()

            wait_until(lambda: is_answering(port), seconds=60)
            yield port, end


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request) -> str:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return request.param


def test_uvicorn__visitors_of_async_views_wait_at_the_same_time(tmp_path, loop):
    with site(tmp_path, loop, SECONDS) as (port, end):
        assert ask(port, "/loop/", "20.0.0.1").partition(".")[0] == loop
        with ThreadPoolExecutor(VISITORS) as visitors:
            started = time.monotonic()
            cities = visitors.map(
                lambda n: ask(port, "/awaited/", f"20.{n}.0.1"), range(1, VISITORS + 1)
            )
            assert set(cities) == {"Wellington"}
            assert time.monotonic() - started < VISITORS * SECONDS / 4
        _, log = end()
    assert not [fault for fault in FAULTS if fault in log], log


@pytest.mark.parametrize("path", ["/lazy/", "/template/"])
def test_uvicorn__an_async_view_may_read_what_blocks(tmp_path, loop, path):
    with site(tmp_path, loop, SECONDS) as (port, end):
        assert ask(port, path, "20.0.0.1") == "Wellington"
        _, log = end()
    assert not [fault for fault in FAULTS if fault in log], log


def test_uvicorn__a_visitor_that_leaves_disturbs_nobody(tmp_path, loop):
    with site(tmp_path, loop, SECONDS) as (port, end):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as leaving:
                request = b"GET /awaited/ HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 20.0.0.1\r\n\r\n"
                leaving.sendall(request)
                time.sleep(SECONDS / 5)
        assert ask(port, "/awaited/", "20.0.0.1") == "Wellington"
        # What was paid for is known, also when the one who asked for it has left.
        started = time.monotonic()
        assert ask(port, "/awaited/", "20.0.0.1") == "Wellington"
        assert time.monotonic() - started < SECONDS / 2
        _, log = end()
    assert not [fault for fault in FAULTS if fault in log], log


def test_uvicorn__ends_at_once_while_a_query_is_under_way(tmp_path, loop):
    with site(tmp_path, loop, LONG_SECONDS) as (port, end):
        with socket.create_connection(("127.0.0.1", port)) as leaving:
            request = b"GET /awaited/ HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 20.0.0.1\r\n\r\n"
            leaving.sendall(request)
            time.sleep(0.5)
        time.sleep(0.2)
        seconds, log = end()
    assert seconds < 5, log
    assert not [fault for fault in FAULTS if fault in log], log


def test_uvicorn__several_workers_send_an_answer_at_once(tmp_path):
    """The loop of asyncio would hold back the second packet of each answer for 40 ms."""
    pytest.importorskip("uvloop")
    with site(tmp_path, "auto", SECONDS, "--workers=2") as (port, _):
        times = []
        with connected(port) as connection:
            for _ in range(60):
                started = time.monotonic()
                connection.request("GET", "/loop/")
                connection.getresponse().read()
                times.append(time.monotonic() - started)
    # The first of a connection are never held back.
    assert median(times) < 0.03


SCRIPT = """
import asyncio, threading, time
from geocache.lookup import alookup
async def main(n):
    waiting = [asyncio.create_task(alookup(f"20.{n}.{one}.1")) for one in range(20)]
    %s
threads = [threading.Thread(target=lambda n=n: asyncio.run(main(n))) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("ended", flush=True)
"""


@pytest.mark.parametrize(
    ("seconds", "step"),
    [
        (LONG_SECONDS, "await asyncio.sleep(0.5)"),
        (LONG_SECONDS, "await asyncio.sleep(0)"),
        (SECONDS, "assert {one.city for one in await asyncio.gather(*waiting)} == {'Wellington'}"),
    ],
    ids=["asked", "begun", "answered"],
)
def test_process__ends_at_once_whatever_its_loops_wait_for(tmp_path, seconds, step):
    with slow_service(seconds) as service:
        process = start_script(
            SCRIPT % step,
            DJANGO_SETTINGS_MODULE=SETTINGS,
            SERVICE_PORT=str(service),
            GEOCACHE_VAR_DIR=str(tmp_path / "var"),
        )
        try:
            output = process.communicate(timeout=20)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, output
    assert output.splitlines()[-1] == "ended"
    assert not [fault for fault in FAULTS if fault in output], output
