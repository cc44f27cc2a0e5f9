"""Processes that use the database and the cache of the running test."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).parent.parent.parent
# For measurements: with DEBUG Django keeps a list of all queries.
WITHOUT_DEBUG = {"DEBUG": "false", "SECRET_KEY": "x", "ALLOWED_HOSTS": "*"}


def environment(**overrides: str) -> dict[str, str]:
    """Return variables that give another process the database and cache of this test."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        scheme = {"postgresql": "postgres"}.get(connection.vendor, connection.vendor)
        address = f"{database['HOST']}:{database['PORT'] or ''}".rstrip(":")
        url = f"{scheme}://{database['USER']}:{database['PASSWORD']}@{address}/{database['NAME']}"
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DATABASE_URL": url,
        "CACHE_KEY_PREFIX": settings.CACHES["geocache"]["KEY_PREFIX"],
        "PYTHONUNBUFFERED": "1",
        **overrides,
    }


def start(*arguments: str, **overrides: str) -> subprocess.Popen[str]:
    """Start ``manage.py`` with ``arguments``, both output streams merged."""
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(**overrides),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_script(code: str, **overrides: str) -> subprocess.Popen[str]:
    """Run ``code`` in a new Python process, with Django set up."""
    setup = "import django; django.setup()\n"
    return subprocess.Popen(
        [sys.executable, "-c", setup + code],
        cwd=ROOT,
        env=environment(**overrides),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    """Send a signal, wait for the end, and return the output."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.communicate(timeout=60)[0]
    finally:
        process.kill()


def wait_until(is_true: Callable[[], object], *, seconds: float = 30) -> None:
    """Wait until a condition is true; fail after ``seconds``."""
    until = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < until, "the condition did not become true"
        time.sleep(0.05)
