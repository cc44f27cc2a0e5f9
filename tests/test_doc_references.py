"""Files, modules, and tests that the documents name exist."""

import re
from functools import cache
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
# Where a path may begin, besides the folder of the document.
FOLDERS = [ROOT, ROOT / "geocache", ROOT / "tests"]
PUBLIC = (ROOT / "docs/public-api.md").read_text()


def quoted_in(document):
    """Return texts between backticks and targets of links, outside blocks of code."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text) + re.findall(r"\]\(([^):]+)\)", text)


def words(document, pattern):
    return [word for quoted in quoted_in(document) for word in re.findall(pattern, quoted)]


@cache
def known_tests():
    return {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in [path.stem, *re.findall(r"def (test_\w+)", path.read_text())]
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents__name_files_that_exist(document):
    paths = words(document, r"(?<![\w/:.*-])[\w.-]+(?:/[\w.-]+)*\.(?:py|md)\b")
    folders = [document.parent, *FOLDERS]
    assert not [path for path in paths if not any((one / path).exists() for one in folders)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents__name_tests_that_exist(document):
    # An ellipsis stands for any text.
    names = words(document, r"(?:\btest_|…)\w+…?")
    assert not [
        name
        for name in names
        if not any(re.fullmatch(name.replace("…", ".*"), test) for test in known_tests())
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents__name_modules_that_exist(document):
    for name in words(document, r"(?<![\w./])geocache(?:\.\w+)+(?![\w/])"):
        parent, _, last = name.rpartition(".")
        path = ROOT / name.replace(".", "/")
        if not (path.is_dir() or path.with_suffix(".py").exists() or last in ("py", "md")):
            assert import_string(name), f"{last} of {parent}"


@pytest.mark.parametrize(
    ("module", "names"), re.findall(r"^\| `(geocache[\w.]*)` \| (`.+?`) \|", PUBLIC, re.MULTILINE)
)
def test_public_module__has_each_name(module, names):
    for name in re.findall(r"`(\w+)`", names):
        assert import_string(f"{module}.{name}")
