"""What is published: the wheel, its description, and the documents of a release."""

import re
import shutil
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from datetime import date
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import geocache
from tests.conftest import require
from tests.support.processes import ROOT

PLACEHOLDER = "geocache.example"


@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(wheel_file) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


@pytest.mark.slow
def test_wheel__has_what_a_site_needs_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    suffixes = {Path(name).suffix for name in names if name.startswith("geocache/")}

    assert "geocache/py.typed" in names
    assert "geocache/locale/de/LC_MESSAGES/django.mo" in names
    assert "geocache/templates/geocache/dashboard.html" in names
    # The last two: names of continents, and the licence of the CLDR.
    assert suffixes <= {".py", ".typed", ".mo", ".html", ".css", ".js", ".svg", ".json", ".unicode"}
    assert not [name for name in names if name.startswith(("geocache/data/", "tests/", "project/"))]


@pytest.mark.slow
def test_wheel__leaves_the_name_base_html_to_the_host(wheel: zipfile.ZipFile) -> None:
    templates = [name for name in wheel.namelist() if name.startswith("geocache/templates/")]

    assert {Path(name).parts[2] for name in templates} <= {"geocache", "admin"}


@pytest.mark.slow
def test_description__links_are_absolute(metadata: Message) -> None:
    text = metadata.get_payload()
    assert isinstance(text, str)
    targets = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)

    assert len(targets) > 10
    assert not [one for one in targets if not one.startswith(("https://", "#"))]


@pytest.mark.slow
def test_description__links_lead_to_files_of_the_repository(metadata: Message) -> None:
    text = metadata.get_payload()
    assert isinstance(text, str)
    paths = re.findall(rf"https://{PLACEHOLDER}/(?:blob|raw)/main/([^)\"#]+)", text)

    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]


@pytest.mark.slow
def test_metadata__names_project_authors_and_keywords(metadata: Message) -> None:
    urls = {url.split(", ")[0] for url in metadata.get_all("Project-URL", [])}

    assert {"Homepage", "Documentation", "Changelog", "Source", "Issues", "Security"} <= urls
    assert metadata["Author"]
    assert metadata["Keywords"]
    assert metadata["Version"] == geocache.__version__


def test_changelog__has_this_version_with_its_date() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    version, _, day = released[0].partition(" - ")

    assert headings.index(released[0]) <= 1
    assert version == geocache.__version__
    assert date.fromisoformat(day)


def test_tag__is_not_of_a_project_without_a_home() -> None:
    git = shutil.which("git")
    require(git is not None and (ROOT / ".git").exists(), "git, in a clone")
    assert git is not None
    tags = subprocess.run(
        [git, "tag", "--points-at", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]

    assert not (
        any(tag.startswith("v") for tag in tags)
        and any(PLACEHOLDER in url for url in urls.values())
    ), "RELEASING.md: choose the public home of the project first"


@pytest.mark.parametrize(
    "name", ["README", "CHANGELOG", "SECURITY", "CONTRIBUTING", "CODE_OF_CONDUCT", "RELEASING"]
)
def test_documents__links_lead_to_files(name: str) -> None:
    text = (ROOT / f"{name}.md").read_text()
    targets = [target.split("#")[0] for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", text)]

    assert not [target for target in targets if not (ROOT / target).exists()]
