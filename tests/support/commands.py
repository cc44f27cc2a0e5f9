"""Run ``manage.py`` on a temporary folder, as a person runs it in a terminal."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT

COMMAND = [sys.executable, "manage.py"]


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return variables that keep everything in ``folder``: SQLite and the embedded cache."""
    names = ["DATABASE_URL", "CACHE_URL", "CACHE_KEY_PREFIX", "GEOCACHE_DATABASES"]
    # Buffer the output as in a terminal session: a closed pipe is then noticed only at a flush.
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
    """Start a command, with its two output streams kept apart."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment(folder, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
