"""Each translation beside the source: complete, sound, and compiled."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest

from tests.conftest import require
from tests.support.processes import ROOT

LOCALE = ROOT / "geocache/locale"
LANGUAGES = sorted(folder.name for folder in LOCALE.iterdir())
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|</?\w+[^>]*>")
# What hangs together is not torn apart at the end of a line.
TORN = re.compile(r"\d (?:MB|%|km)")


def catalogue(language):
    return polib.pofile(str(LOCALE / language / "LC_MESSAGES/django.po"))


def key(entry):
    return entry.msgctxt, entry.msgid, entry.msgid_plural


def translations(entry):
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """What ``makemessages`` finds in a copy of the source, so that it writes nothing into ours."""
    require(shutil.which("xgettext") is not None, "xgettext (GNU gettext)")
    copy = tmp_path_factory.mktemp("source")
    for name in ("geocache", "project", "templates"):
        ignored = shutil.ignore_patterns("locale", "__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    (copy / "geocache/locale").mkdir()
    shutil.copy(ROOT / "manage.py", copy)
    subprocess.run(
        [sys.executable, "manage.py", "makemessages", "--locale", "de", "--verbosity", "0"],
        cwd=copy,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "project.settings"},
        check=True,
    )
    return polib.pofile(str(copy / "geocache/locale/de/LC_MESSAGES/django.po"))


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_translation__has_the_messages_of_the_source(language, source):
    wanted = {key(entry) for entry in source}
    assert {key(entry) for entry in catalogue(language)} == wanted
    assert len(wanted) > 200


@pytest.mark.parametrize("language", LANGUAGES)
def test_translation__is_complete_and_nobody_has_to_look_at_it_again(language):
    entries = catalogue(language)
    assert [entry.msgid for entry in entries if not entry.translated()] == []
    assert [entry.msgid for entry in entries if entry.fuzzy or entry.obsolete] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_translation__keeps_placeholders_and_tags(language):
    for entry in catalogue(language):
        wanted = sorted(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
        for text in translations(entry):
            assert sorted(PLACEHOLDER.findall(text)) == wanted, text
            # A blank at an end joins two messages.
            assert len(text) - len(text.lstrip()) == len(entry.msgid) - len(entry.msgid.lstrip())


@pytest.mark.parametrize("language", LANGUAGES)
def test_translation__is_compiled_as_it_stands(language):
    compiled = polib.mofile(str(LOCALE / language / "LC_MESSAGES/django.mo"))
    written = {key(entry): translations(entry) for entry in catalogue(language)}
    assert {key(entry): translations(entry) for entry in compiled} == written
    assert compiled.metadata["Plural-Forms"] == catalogue(language).metadata["Plural-Forms"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_translation__names_no_machine_and_no_person(language):
    text = Path(LOCALE / language / "LC_MESSAGES/django.po").read_text()
    assert "Last-Translator" not in text
    assert str(ROOT) not in text


def test_german__has_its_own_typography():
    for entry in catalogue("de"):
        for text in translations(entry):
            assert "“" not in text or "„" in text, text
            assert "”" not in text, text
            assert not TORN.search(text), text
