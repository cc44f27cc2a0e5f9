"""The wheel, installed into environments and projects that have nothing else of this repository."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import require
from tests.support.processes import ROOT

# Of the environment of the tests nothing may reach another project.
NOT_INHERITED = {
    "CACHE_URL",
    "DATABASE_URL",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    "PYTHONWARNINGS",
    "VIRTUAL_ENV",
}
NOT_INHERITED_PREFIXES = ("COVERAGE_", "COV_", "DJANGO_", "GEOCACHE_", "PYTEST_")


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command without what this process has in its environment of geocache and Django."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in NOT_INHERITED and not name.startswith(NOT_INHERITED_PREFIXES)
    }
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def output_of(*command: str | Path, cwd: Path, **variables: str) -> str:
    done = run(*command, cwd=cwd, **variables)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done.stdout


def build_wheel(folder: Path) -> None:
    """Write the wheel of this checkout into ``folder``."""
    uv = shutil.which("uv")
    require(uv is not None, "uv")
    assert uv is not None
    output_of(uv, "build", "-q", "--wheel", "--out-dir", folder, cwd=ROOT)


@dataclass(frozen=True, slots=True)
class Site:
    """A project that ``startproject`` has made, in an environment of its own."""

    folder: Path
    python: Path

    def manage(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run(self.python, "manage.py", *arguments, cwd=self.folder, **variables)

    def output_of(self, *arguments: str, **variables: str) -> str:
        return output_of(self.python, "manage.py", *arguments, cwd=self.folder, **variables)

    def script(self, text: str, **variables: str) -> str:
        """Return what a Python program prints in this project."""
        variables |= {"DJANGO_SETTINGS_MODULE": "site_.settings"}
        return output_of(self.python, "-c", text, cwd=self.folder, **variables)


def a_site(wheel: Path, folder: Path, *extras: str, settings: str, urls: str) -> Site:
    """Install the wheel with ``extras`` for a project of Django's.

    What is given comes after what ``startproject`` writes.
    """
    python = folder / "venv/bin/python"
    output_of("uv", "venv", "-q", "--python", sys.executable, "venv", cwd=folder)
    wanted = f"geocache[{','.join(extras)}] @ {wheel.as_uri()}"
    output_of("uv", "pip", "install", "-q", "--python", python, wanted, cwd=folder)
    output_of(python, "-m", "django", "startproject", "site_", folder, cwd=folder)
    for name, text in (("settings", settings), ("urls", urls)):
        with (folder / "site_" / f"{name}.py").open("a") as file:
            file.write(text)
    return Site(folder, python)
