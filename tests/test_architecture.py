"""What the contracts in pyproject.toml cannot say: import-linter sees Django as one package."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Types and constants below ``django.core.cache``: to import them is not to use a cache.
NO_CACHES = ("django.core.cache.BaseCache", "django.core.cache.backends.base.DEFAULT_TIMEOUT")
# Modules that run without Django.
PLAIN = (
    "exceptions",
    "log_throttle",
    "text",
    "location",
    "cache/circuit_breaker",
    "addresses/parsing",
    "addresses/extraction",
    "addresses/blocks",
)


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_of(imported, library):
    return f"{imported}.".startswith(f"{library}.") and imported not in NO_CACHES


@pytest.mark.parametrize(
    ("library", "user"), [("django.conf", "conf"), ("django.core.cache", "cache/backends")]
)
def test_part_of_django__has_one_user(library, user):
    users = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "geocache").rglob("*.py")
        # Migrations are written by Django.
        if path.parent.name != "migrations"
        and any(is_of(imported, library) for imported in imports_of(path))
    }
    assert users == {f"geocache/{user}.py"}


@pytest.mark.parametrize("module", PLAIN)
def test_module__runs_without_django(module):
    assert not [one for one in imports_of(ROOT / f"geocache/{module}.py") if is_of(one, "django")]


def test_project__names_geocache_by_text_only():
    for path in (ROOT / "project").glob("*.py"):
        assert not [one for one in imports_of(path) if is_of(one, "geocache")], path.name
