"""``manage.py`` on a folder that is thrown away, as a person runs it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT

COMMAND = [sys.executable, "manage.py"]


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Everything in ``folder``: SQLite, the embedded cache, nothing of the test's own."""
    names = ["DATABASE_URL", "CACHE_URL", "CACHE_KEY_PREFIX", "GEOCACHE_DATABASES"]
    # Output is buffered as it is for people, with what follows from it when a reader goes away.
    names.append("PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "GEOCACHE_VAR_DIR": str(folder),
        **variables,
    }


def run(
    folder: Path, *arguments: str, given: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with ``given`` on standard input."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment(folder, **variables),
        input=given,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start a command, its two streams apart."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment(folder, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
