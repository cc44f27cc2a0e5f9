"""The real browser that tests and screenshots drive."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
# It starts as root in a container, and makes no requests of its own.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give a browser. While its event loop runs, Django refuses the ORM here.

    One Chromium serves all tests of a process: a connection has windows and cookies of its own.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.connect(_endpoint())
        yield browser
        browser.close()


@cache
def _endpoint() -> str:
    """Start a Chromium, and return where it listens."""
    options = {"executablePath": str(CHROMIUM), "args": ARGUMENTS}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump(options, config)
        config.flush()
        command = [sys.executable, "-m", "playwright", "launch-server"]
        server = subprocess.Popen(
            [*command, "--browser", "chromium", "--config", config.name],
            stdout=subprocess.PIPE,
            text=True,
            # A group of its own: the server is a child of this command, and ends with it.
            start_new_session=True,
        )
        assert server.stdout
        listening = server.stdout.readline().strip()
    assert listening.startswith("ws://"), listening
    atexit.register(_stop, server)
    return listening


def _stop(server: subprocess.Popen[str]) -> None:
    os.killpg(server.pid, signal.SIGTERM)
    server.communicate(timeout=30)


def log_in(page: Page, url: str = "/login/") -> None:
    """Log in as the admin of ``tests.factories``."""
    page.goto(url)
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_load_state()
