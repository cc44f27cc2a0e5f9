"""What all files of project/deploy have to say of each other, of the settings and of their page."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.deployed import DEPLOY, program
from tests.support.processes import ROOT

pytestmark = [pytest.mark.any_django, pytest.mark.any_services]

SCRIPTS = sorted(DEPLOY.glob("*.sh"))
PAGE = (ROOT / "docs/deployment.md").read_text()
SOURCES = "".join(path.read_text() for path in (ROOT / "project").rglob("*.py"))
# Read by a shell, uv, or an image of another project.
OTHERS = {
    "GEOCACHE_ENV",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD",
    "POSTGRES_USER",
    "PYTHON",
    "PYTHONUNBUFFERED",
    "UV_COMPILE_BYTECODE",
    "UV_NO_CACHE",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_PYTHON_DOWNLOADS",
}


def variables_of(path: Path) -> set[str]:
    """Return the environment variables that a file sets."""
    text = path.read_text()
    if path.name == "compose.yaml":
        return _of_compose(text)
    patterns = {
        ".sh": r"\b([A-Z][A-Z_]+)=",
        ".conf": r"^Environment=([A-Z_]+)=",
        ".service": r"^Environment=([A-Z_]+)=",
        ".example": r"^(?:# )?([A-Z_]+)=",
        "": r"\b([A-Z][A-Z_]+)=",
    }
    return set(re.findall(patterns.get(path.suffix, r"(?!)"), text, re.MULTILINE))


def _of_compose(text: str) -> set[str]:
    services = yaml.safe_load(text)["services"].values()
    given = {name for one in services for name in one.get("environment", {})}
    return given | set(re.findall(r"\$\{([A-Z_]+)", text))


def test_variables__are_read_by_the_project() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    named = {name for path in files for name in variables_of(path)} - OTHERS

    assert {"SECRET_KEY", "DATABASE_URL", "GEOCACHE_TRUSTED_PROXIES", "STATIC_ROOT"} <= named
    assert {name for name in named if f'"{name}"' not in SOURCES} == set()


def test_scripts__have_no_findings() -> None:
    command = [program("shellcheck"), "--enable=quote-safe-variables", *SCRIPTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    for path in SCRIPTS:
        assert path.stat().st_mode & 0o111 == 0o111
        assert "set -euo pipefail" in path.read_text()


def test_page__names_each_file() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.suffix not in (".pyc", ".timer") and path.stem != "__init__":
            assert path.name in PAGE, path.name


def test_page__names_files_that_exist() -> None:
    named = set(re.findall(r"(?<!tests/)project/deploy/[\w./-]*\w", PAGE))
    assert named
    assert [one for one in named if not (ROOT / one).exists()] == []
