"""The wheel in an environment of its own, beside the packages that grown projects have."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.factories import an_mmdb
from tests.support.installed import output_of, run

GROWN = Path(__file__).with_name("grown")
PACKAGES = [
    "django-debug-toolbar>=6",
    "django-jazzmin>=3",
    "django-redis>=6",
    "django-unfold>=0.60",
    "psycopg[binary,pool]>=3.2",
    "pytest-django>=4.11",
]
LONDON = {
    "city": {"names": {"en": "London"}},
    "country": {"iso_code": "GB"},
    "location": {"latitude": 51.5, "longitude": -0.1, "time_zone": "Europe/London"},
}
STOCKHOLM = {"city": {"names": {"en": "Stockholm"}}, "country": {"iso_code": "SE"}}


def install(wheel: Path, folder: Path) -> None:
    """Make ``folder/venv``: geocache with all its extras, and other apps, from wheels."""
    django = subprocess.run(
        [sys.executable, "-m", "django", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    output_of("uv", "venv", "-q", "--python", sys.executable, "venv", cwd=folder)
    output_of(
        *("uv", "pip", "install", "-q", "--python", "venv/bin/python"),
        *(f"geocache[all] @ {wheel.as_uri()}", f"django=={django}", *PACKAGES),
        cwd=folder,
    )


@dataclass(frozen=True)
class Host:
    """A copy of the grown project with one of its set-ups."""

    set_up: str
    python: Path
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def exercise(self, *arguments: str) -> dict[str, Any]:
        """Look up, flush and open all pages; return what happened, which alone is printed."""
        done = self.run("exercise.py", *arguments)
        assert not done.stderr, done.stderr
        report = json.loads(done.stdout)
        assert isinstance(report, dict)
        return report

    @property
    def log(self) -> str:
        """Return what the host's own log has."""
        return (self.folder / "host.log").read_text()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the host; fail where it does."""
        done = run(
            *(self.python, *arguments),
            cwd=self.folder,
            DJANGO_SETTINGS_MODULE=f"config.setups.{self.set_up}",
            HOST_MMDB=str(self.folder / "world.mmdb"),
            **self.variables,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
        return done


def make_host(set_up: str, python: Path, folder: Path, **variables: str) -> Host:
    """Copy the grown project to ``folder``, with a database of two networks."""
    shutil.copytree(GROWN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    an_mmdb(folder / "world.mmdb", {"81.2.69.0/24": LONDON, "2a02:6b8::/32": STOCKHOLM})
    return Host(set_up, python, folder, variables)
