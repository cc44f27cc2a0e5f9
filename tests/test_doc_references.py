"""Files, modules, tests and sections that documents and messages name exist."""

import re
from functools import cache
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.utils.module_loading import import_string

from geocache.log_events import EVENTS, JOB_ANCHORS, TROUBLESHOOTING, page_of

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
# Where a path may begin, besides the folder of the document.
FOLDERS = [ROOT, ROOT / "geocache", ROOT / "project/deploy", ROOT / "tests"]
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


# Where messages, alert rules and dashboards may name a section of a document.
SPEAKING = ("geocache", "templates", "docs", "project", "deploy", "monitoring")
SUFFIXES = {".py", ".html", ".txt", ".md", ".yml", ".yaml", ".json"}


@cache
def anchors_of(path):
    """Return the anchors that the headings of a document have on GitHub and elsewhere."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).strip().replace(" ", "-") for one in headings}


def has_section(folder, page):
    name, _, anchor = page.partition("#")
    return (folder / name).is_file() and anchor in anchors_of(folder / name)


def pages_named():
    for folder in SPEAKING:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES:
                for page in re.findall(r"docs/[\w-]+\.md#[\w-]+", path.read_text()):
                    yield path.relative_to(ROOT).as_posix(), page


def test_messages__name_pages_that_exist():
    pages = {*pages_named(), *(("log", page_of(name)) for name in EVENTS if page_of(name))}
    pages |= {("log", f"{TROUBLESHOOTING}#{anchor}") for anchor in JOB_ANCHORS.values()}
    assert len(pages) > 20
    assert not [(place, page) for place, page in pages if not has_section(ROOT, page)]
    assert not has_section(ROOT, f"{TROUBLESHOOTING}#no-such-section")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents__link_to_sections_that_exist(document):
    links = re.findall(r"\]\(([\w./-]*#[\w-]+)\)", document.read_text())
    pages = [f"{document.name}{link}" if link.startswith("#") else link for link in links]
    assert not [page for page in pages if not has_section(document.parent, page)]


def test_troubleshooting__names_commands_that_parse():
    text = (ROOT / TROUBLESHOOTING).read_text()
    lines = set(re.findall(r"(?:`|^\$ )manage\.py (\w+_geo[^`\n]*)", text, re.MULTILINE))
    assert len(lines) > 15
    for name, *arguments in map(str.split, lines):
        parser = load_command_class("geocache", name).create_parser("manage.py", name)
        # One without its arguments is named, and not shown.
        if arguments:
            assert parser.parse_args(arguments)


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
