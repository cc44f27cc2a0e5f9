"""The tables of docs/architecture.md against what the code imports."""

import ast
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "geocache"
PAGE = (ROOT / "docs/architecture.md").read_text()
# What is below ``django.core.cache`` and lets nobody use a cache.
NO_CACHES = ("django.core.cache.BaseCache", "django.core.cache.backends.base.DEFAULT_TIMEOUT")
# Modules that run without Django.
PLAIN = ("exceptions", "throttle", "addresses", "extraction", "printable", "collation", "locations")


def table(title):
    """Return the cells of the first table below a heading, without its head."""
    section = re.split(rf"^#+ {re.escape(title)}$", PAGE, flags=re.MULTILINE)[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def rules():
    """Return the pattern of each row and the patterns that it may import."""
    core, faces = table("The core"), table("The faces")
    above, found = [], {}
    for row in core + faces:
        (module,) = names(row[0])
        allowed = names(row[2])
        if "all above" in row[2]:
            allowed += above
        if "the core" in row[2]:
            allowed += [names(other[0])[0] for other in core]
        found[module] = allowed
        above.append(module)
    return found


RULES = rules()


@dataclass(frozen=True)
class Import:
    """One imported name, and the line for whoever has to find it."""

    name: str
    line: int


@cache
def modules():
    """Return every module of the app that is not empty, by its name in the table."""
    written = (path for path in sorted(PACKAGE.rglob("*.py")) if path.read_text().strip())
    return {name_of(path): path for path in written}


def name_of(path):
    relative = path.relative_to(PACKAGE).with_suffix("")
    if relative.name == "__init__" and relative.parts != ("__init__",):
        relative = relative.parent
    return relative.as_posix()


def row_of(module):
    """Return the row of a module: its own, or that of its folder."""
    if module in RULES:
        return module
    return max((row for row in RULES if fnmatchcase(module, row)), key=len, default=None)


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} is a relative import"
            yield from (Import(f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def own(imported):
    """Return the module of the app that an import names, or None."""
    parts = imported.name.split(".")
    if parts[0] != "geocache":
        return None
    while parts[1:]:
        if (name := "/".join(parts[1:])) in modules():
            return name
        parts.pop()
    return "__init__"


def is_of(imported, library):
    return f"{imported.name}.".startswith(f"{library}.")


@pytest.mark.parametrize("module", modules())
def test_module__has_a_row(module):
    assert row_of(module), f"{module} is not in docs/architecture.md"


def test_rows__name_what_exists():
    for pattern in RULES:
        assert any(fnmatchcase(module, pattern) for module in modules()), pattern


def test_rows__name_only_what_stands_above_them():
    above = set()
    for module, allowed in RULES.items():
        # The modules of one folder may know each other.
        above |= {module} if module.endswith("/*") else set()
        assert set(allowed) <= above, f"{module} names what does not stand above it"
        above.add(module)


@pytest.mark.parametrize("module", modules())
def test_module__imports_only_what_its_row_names(module):
    allowed = RULES[row_of(module)]
    for imported in imports_of(modules()[module]):
        needed = own(imported)
        if needed in (None, module, "__init__"):
            continue
        assert any(row_of(needed) == row for row in allowed), (
            f"{module}, line {imported.line}: imports {needed}"
        )


@pytest.mark.parametrize("row", table("Libraries with one user"), ids=lambda row: row[0])
def test_library__has_one_user(row):
    (library,), (user,) = names(row[0]), names(row[1])
    users = {
        module
        for module, path in modules().items()
        for imported in imports_of(path)
        # Migrations are written by Django.
        if not module.startswith("migrations/")
        and is_of(imported, library)
        and not any(is_of(imported, name) for name in NO_CACHES)
    }
    assert users == {user}


@pytest.mark.parametrize("module", PLAIN)
def test_module__runs_without_django(module):
    assert not [one for one in imports_of(modules()[module]) if is_of(one, "django")]


def test_lookup_and_flush__never_import_each_other():
    needed = {
        module: {own(imported) for imported in imports_of(modules()[module])}
        for module in ("lookup", "flush")
    }
    assert "flush" not in needed["lookup"]
    assert "lookup" not in needed["flush"]
    assert "lookup" not in RULES["flush"]
    assert "flush" not in RULES["lookup"]


def test_geocache__never_imports_the_project_or_the_tests():
    for module, path in modules().items():
        for imported in imports_of(path):
            assert not is_of(imported, "project"), module
            assert not is_of(imported, "tests"), module


def test_project__names_geocache_by_text_only():
    for path in (ROOT / "project").glob("*.py"):
        assert not [one for one in imports_of(path) if is_of(one, "geocache")], path.name


@pytest.mark.parametrize(
    "section", ["Modules", "How a look-up travels", "How a flush travels", "Problematic parts"]
)
def test_page__has_its_sections(section):
    assert f"\n## {section}\n" in PAGE
