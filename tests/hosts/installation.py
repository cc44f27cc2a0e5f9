"""The wheel in an environment of its own, beside the packages that grown projects have."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.factories import an_mmdb
from tests.support.processes import ROOT

GROWN = Path(__file__).with_name("grown")
PACKAGES = [
    "django-debug-toolbar>=6",
    "django-jazzmin>=3",
    "django-unfold>=0.60",
    "psycopg[binary]>=3.2",
]
LONDON = {
    "city": {"names": {"en": "London"}},
    "country": {"iso_code": "GB"},
    "location": {"latitude": 51.5, "longitude": -0.1, "time_zone": "Europe/London"},
}
STOCKHOLM = {"city": {"names": {"en": "Stockholm"}}, "country": {"iso_code": "SE"}}
# Of the environment of the tests nothing may reach a host.
NOT_INHERITED = ("DATABASE_URL", "CACHE_URL", "PYTHONPATH", "VIRTUAL_ENV")
NOT_INHERITED_PREFIXES = ("DJANGO_", "GEOCACHE_", "PYTEST_", "COV_", "COVERAGE_")


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Return what a command writes to standard output; fail with all that it wrote."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in NOT_INHERITED and not name.startswith(NOT_INHERITED_PREFIXES)
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done.stdout


def build_wheel(folder: Path) -> Path:
    """Return the path of the wheel of this checkout."""
    run("uv", "build", "-q", "--wheel", "--out-dir", folder, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(folder: Path) -> Path:
    """Return a Python that has geocache with all its extras, and other apps, from wheels."""
    django = subprocess.run(
        [sys.executable, "-m", "django", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    wheel = build_wheel(folder / "dist")
    run("uv", "venv", "-q", "--python", sys.executable, "venv", cwd=folder)
    python = folder / "venv/bin/python"
    run(
        *("uv", "pip", "install", "-q", "--no-compile-bytecode", "--python", python),
        *(f"{wheel}[all]", f"django=={django}", *PACKAGES),
        cwd=folder,
    )
    return python


@dataclass(frozen=True)
class Host:
    """A copy of the grown project with one of its set-ups."""

    set_up: str
    python: Path
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def exercise(self, *arguments: str) -> dict[str, Any]:
        """Look up, flush and open all pages; return what happened."""
        report = json.loads(self.run("exercise.py", *arguments))
        assert isinstance(report, dict)
        return report

    def run_own_tests(self) -> str:
        """Run the tests of the host by Django's own runner."""
        return self.run("manage.py", "test", "visits", "--verbosity", "0")

    @property
    def log(self) -> str:
        """Return what the host's own log has."""
        return (self.folder / "host.log").read_text()

    def run(self, *arguments: str) -> str:
        """Run a program of the host."""
        settings = f"config.setups.{self.set_up}"
        mmdb = str(self.folder / "world.mmdb")
        return run(
            *(self.python, *arguments),
            cwd=self.folder,
            DJANGO_SETTINGS_MODULE=settings,
            HOST_MMDB=mmdb,
            **self.variables,
        )


def make_host(set_up: str, python: Path, folder: Path, **variables: str) -> Host:
    """Copy the grown project to ``folder``, with a database of two networks."""
    shutil.copytree(GROWN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    an_mmdb(folder / "world.mmdb", {"81.2.69.0/24": LONDON, "2a02:6b8::/32": STOCKHOLM})
    host = Host(set_up, python, folder, variables)
    apps = ["visits"] if set_up == "stock_user" else ["accounts", "visits"]
    host.run("manage.py", "makemigrations", *apps, "--verbosity", "0", "--skip-checks")
    return host
