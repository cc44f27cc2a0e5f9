import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.urls import include, path

from geocache import extras
from geocache.exceptions import GeocacheError, MissingExtra

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# These are loaded by the scheduler's own process, whose command looks for the library before.
SCHEDULER = ROOT / "geocache/scheduler"


def without(monkeypatch: pytest.MonkeyPatch, *absent: str) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: module not in absent)


def test_needed__names_the_package_and_its_extra() -> None:
    with pytest.raises(MissingExtra) as raised, extras.needed("web"):
        import_module("not_there.at_all")

    assert str(raised.value) == (
        'not_there is not installed; install geocache with the extra "web"'
    )
    # For who imports a dotted path, and for who reports what geocache raises.
    assert isinstance(raised.value, ImportError)
    assert isinstance(raised.value, GeocacheError)


def test_needed__another_error_of_an_import_is_not_hidden() -> None:
    with pytest.raises(ImportError) as raised, extras.needed("web"):
        raise ImportError("cannot import name")

    assert not isinstance(raised.value, MissingExtra)


def test_missing__names_the_first_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "limits", "tzdata")
    assert "tzdata" in str(extras.missing("pages", "django_countries", "tzdata", "limits"))
    assert extras.missing("pages", "django_countries") is None


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named_in(requirements: list[str]) -> set[str]:
    return {normalised(re.split(r"[^\w.-]", one)[0]) for one in requirements}


@cache
def distributions_of(module: str) -> set[str]:
    return set(map(normalised, packages_distributions().get(module, ())))


@cache
def brought_by(extra: str) -> set[str]:
    """Return the distributions that an extra installs; those of the core for the empty text."""
    found: set[str] = set()
    wanted = named_in(PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"])
    while wanted:
        found |= wanted
        needed = (one for name in wanted for one in requires(name) or () if "extra" not in one)
        wanted = {one for one in named_in(list(needed)) if distributions_known(one)} - found
    return found


@cache
def distributions_known(name: str) -> bool:
    return name in {normalised(one) for names in packages_distributions().values() for one in names}


def imported_by(node: ast.stmt) -> Iterator[str]:
    """Give the top-level modules that one statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield (node.module or "").partition(".")[0]


def extra_of(node: ast.AST) -> str | None:
    """Return the extra of a block, None for any other statement."""
    if not isinstance(node, ast.With):
        return None
    found = re.fullmatch(r"extras\.needed\('(\w+)'\)", ast.unparse(node.items[0]))
    return found[1] if found else None


MODULES = sorted(path for path in (ROOT / "geocache").rglob("*.py"))


@pytest.mark.slow
def test_extras__bring_what_is_imported_in_their_blocks() -> None:
    wrong = [
        f"{path.name}: {module} is not in {extra}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if (extra := extra_of(node)) and isinstance(node, ast.With)
        for statement in node.body
        for module in imported_by(statement)
        if not distributions_of(module) & brought_by(extra)
    ]
    assert not wrong


@pytest.mark.slow
def test_core__imports_at_the_top_of_a_module_only_what_it_requires() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in MODULES
        # pytest itself loads its plug-in.
        if not path.is_relative_to(SCHEDULER) and path.name != "pytest_plugin.py"
        for statement in ast.parse(path.read_text()).body
        for module in imported_by(statement)
        if (found := distributions_of(module) - {"geocache"}) and not found & brought_by("")
    ]
    assert not wrong


def test_all__is_every_extra_but_the_sample() -> None:
    (every,) = PROJECT["optional-dependencies"]["all"]
    named = set(re.findall(r"\w+", every.partition("[")[2]))
    assert named == set(PROJECT["optional-dependencies"]) - {"all", "sample"}


def found_by_checks() -> dict[str, str]:
    found = checks.run_checks()
    return {str(one.id): str(one.msg) for one in found if str(one.id).startswith("geo")}


def test_check_pages__look_ups_that_cannot_be_limited_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "limits")
    (message,) = found_by_checks().items()
    assert message[0] == "geocache.E060"
    assert 'the extra "pages"' in message[1]


def test_check_pages__what_is_only_not_shown_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "pygal_maps_world")
    assert found_by_checks().keys() == {"geocache.W061"}


@pytest.mark.parametrize(
    ("patterns", "limits_id", "maps_id"),
    [
        ([], None, None),
        ([path("geo/", include("geocache.web.urls"))], "geocache.E060", "geocache.W061"),
        ([path("<slug:shop>/", include("geocache.urls"))], "geocache.E060", "geocache.W061"),
        # The API shows no map.
        ([path("ip/", include("geocache.api.urls"))], "geocache.E060", None),
    ],
)
def test_check_pages__of_what_the_project_includes(
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    patterns: list[Any],
    limits_id: str | None,
    maps_id: str | None,
) -> None:
    settings.ROOT_URLCONF = tuple(patterns)
    for module, expected in (("limits", limits_id), ("pygal_maps_world", maps_id)):
        without(monkeypatch, module)
        found = found_by_checks().keys() & {"geocache.E060", "geocache.W061"}
        assert found == ({expected} if expected else set())


def test_check_downloads__what_cannot_be_fetched_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    without(monkeypatch, "requests")
    lists = {"own": "https://lists.example.org/own.txt", "file": "/srv/a.txt"}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": lists, "UPDATE_DAYS": 0}
    (message,) = found_by_checks().items()
    assert message[0] == "geocache.W062"
    assert "(own)" in message[1]


def test_check_downloads__databases_whatever_scheduler_runs_the_jobs(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    without(monkeypatch, "requests")
    apps = [one for one in settings.INSTALLED_APPS if one != "django_apscheduler"]
    settings.INSTALLED_APPS = apps
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [], "UPDATE_DAYS": 7}
    assert "geocache.W062" in found_by_checks()
