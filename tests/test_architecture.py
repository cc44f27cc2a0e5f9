"""What the contracts in pyproject.toml cannot say: import-linter sees Django as one package."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GEOCACHE = ROOT / "geocache"
TESTS = ROOT / "tests"
PAGE = (ROOT / "docs/architecture.md").read_text()
# Types and constants below ``django.core.cache``: to import them is not to use a cache.
NO_CACHES = (
    "django.core.cache.BaseCache",
    "django.core.cache.backends.base.DEFAULT_TIMEOUT",
    "django.core.cache.backends.base.default_key_func",
)
# What answers a request, or draws a page, and the modules that may know of it.
WEB = (
    "django.contrib",
    "django.forms",
    "django.http",
    "django.middleware",
    "django.shortcuts",
    "django.template",
    "django.urls",
    "django.views",
)
WEB_USERS = {
    "admin",
    "api",
    "client_ip",
    "edge",
    "exports",
    "health",
    "integrations",
    "management",
    "metrics",
    "middleware",
    "monitoring_access",
    "mounts",
    "templatetags",
    "urls",
    "web",
}


@cache
def syntax_of(path):
    return ast.parse(path.read_text())


def imports_of(path):
    for node in ast.walk(syntax_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def users_of(*libraries):
    """Return the modules that import one of these, as paths below geocache/ without a suffix."""
    return {
        path.relative_to(GEOCACHE).with_suffix("").as_posix()
        for path in GEOCACHE.rglob("*.py")
        # Migrations are written by Django.
        if path.parent.name != "migrations"
        and any(
            f"{imported}.".startswith(f"{library}.") and imported not in NO_CACHES
            for imported in imports_of(path)
            for library in libraries
        )
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "user"), [("django.conf", "conf"), ("django.core.cache", "cache/backends")]
)
def test_part_of_django__has_one_user(library, user):
    assert users_of(library) == {user}


def test_core__does_not_import_the_web():
    assert {user.partition("/")[0] for user in users_of(*WEB)} == WEB_USERS


def layers_of_the_contract():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [one for one in settings["contracts"] if one["type"] == "layers"]
    return [re.findall(r"\w+", layer) for layer in contract["layers"]]


def table_below(heading):
    rows = PAGE.partition(f"\n| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_architecture_page__has_the_layers_of_the_contract():
    rows = [re.findall(r"`(\w+)`", row[1]) for row in table_below("layer")]
    assert rows == layers_of_the_contract()


def test_architecture_page__has_a_row_for_each_package():
    rows = [re.findall(r"\w+", row[0])[0] for row in table_below("package or module")]
    assert rows == sorted(
        {name for layer in layers_of_the_contract() for name in layer} - {"migrations"}
    )


# Documented, in spite of the underscore.
DOCUMENTED = {"_asdict", "_default_manager", "_exit", "_fields", "_meta", "_replace"}
# It compares what the backends hold with what they say.
OPENS_BACKENDS = TESTS / "cache/test_backends.py"


def is_own(node):
    """Tell whether an attribute is read from ``self``, ``cls`` or ``super()``."""
    value = node.value.func if isinstance(node.value, ast.Call) else node.value
    return isinstance(value, ast.Name) and value.id in {"self", "cls", "super"}


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def private_names_in(path):
    for node in ast.walk(syntax_of(path)):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and not is_own(node):
            yield f"{path.relative_to(TESTS)}:{node.lineno} {ast.unparse(node)}"
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names if is_private(alias.name)]
            yield from (f"{path.relative_to(TESTS)}:{node.lineno} {name}" for name in names)


@pytest.mark.slow
def test_tests__read_no_private_state_of_another_object():
    paths = sorted(set(TESTS.rglob("*.py")) - {OPENS_BACKENDS})
    found = [one for path in paths for one in private_names_in(path)]
    assert found == []


def is_atomic(node):
    return isinstance(node, ast.Attribute) and ast.unparse(node) == "transaction.atomic"


def default_transactions_in(path):
    """Give the uses of the default connection, and transactions that name no database."""
    named = {
        node.func
        for node in ast.walk(syntax_of(path))
        if isinstance(node, ast.Call) and any(one.arg == "using" for one in node.keywords)
    }
    for node in ast.walk(syntax_of(path)):
        if is_atomic(node) and node not in named:
            yield f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
    for name in set(imports_of(path)) & {"django.db.connection", "django.db.transaction.atomic"}:
        yield f"{path.relative_to(ROOT)} {name}"


def test_transactions__name_their_database():
    # One of the default database protects nothing where a router names another.
    found = [
        one for path in sorted(GEOCACHE.rglob("*.py")) for one in default_transactions_in(path)
    ]
    assert found == []


def test_default_transactions__are_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_architecture.ROOT", tmp_path)
    path = tmp_path / "one.py"
    path.write_text(
        "from django.db import connection, transaction\n"
        "with transaction.atomic(): pass\n"
        "with transaction.atomic(using='geo'): pass\n"
        "@transaction.atomic\n"
        "def one(): pass\n"
    )
    assert set(default_transactions_in(path)) == {
        "one.py:2 transaction.atomic",
        "one.py:4 transaction.atomic",
        "one.py django.db.connection",
    }
