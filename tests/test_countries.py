import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.utils.translation import override

from geocache import countries, extras


@pytest.mark.parametrize(("code", "flag"), [("GB", "🇬🇧"), ("de", "🇩🇪"), ("XK", "🇽🇰")])
def test_flag__two_letters_are_a_flag(code, flag):
    assert countries.flag(code) == flag


@pytest.mark.parametrize("code", ["", "G", "GBR", "1A", "ÄÖ", "🇬🇧"])
def test_flag__anything_else_is_empty(code):
    assert countries.flag(code) == ""


def test_name__is_that_of_the_language():
    for language, name in (("en", "Germany"), ("de", "Deutschland"), ("en", "Germany")):
        with override(language):
            assert countries.name("DE") == name


@pytest.mark.parametrize("code", ["", "ZZ", "nonsense", "<b>"])
def test_name__unknown_code_is_empty(code):
    assert countries.name(code) == ""


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de", "Deutschland"),
        ("de-at", "Deutschland"),
        ("fr", "Allemagne"),
        # The library keeps these below another name than Django's.
        ("ko", "독일"),
        ("tr", "Almanya"),
        ("pt", "Alemanha"),
        ("sr-latn", "Nemačka"),
        ("zh-hant", "德國"),
        ("zh-tw", "德國"),
        ("zh-hans", "德国"),
        ("xx", "Germany"),
        (None, "Germany"),
    ],
)
def test_name__every_language_of_the_library_is_known(language, expected):
    with override(language):
        assert countries.name("DE") == expected


@pytest.mark.parametrize("language", ["en", "de", "ko", None])
def test_name__kosovo_has_one_without_a_setting(language):
    with override(language):
        assert countries.name("XK") == "Kosovo"


def test_name__a_country_that_was_renamed_has_its_older_translation():
    with override("de"):
        assert countries.name("TR") == "Türkei"


def test_name__threads_with_languages_of_their_own_do_not_mix():
    languages = {"en": "France", "de": "Frankreich", "es": "Francia", "nl": "Frankrijk"}

    def named(language):
        with override(language):
            return countries.name("FR")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(named, [*languages] * 50)) == [*languages.values()] * 50


HOST = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS={apps}, COUNTRIES_OVERRIDE={overridden})
django.setup()
from django.utils.translation import override
from geocache import countries, extras
with override("de"):
    print(*(countries.name(code) for code in ("DE", "XK", "TW")), sep=";")
"""


@pytest.mark.parametrize("apps", [["geocache"], ["django_countries", "geocache"]])
@pytest.mark.parametrize(
    ("overridden", "expected"),
    [
        ({}, "Deutschland;Kosovo;Taiwan (Provinz Chinas)"),
        ({"TW": "Taiwan", "XK": "Kosova"}, "Deutschland;Kosova;Taiwan"),
        ({"DE": None, "XK": None, "TW": "Spain"}, ";;Spain"),
    ],
)
def test_name__of_another_project_is_what_it_sets(apps, overridden, expected):
    program = HOST.format(apps=apps, overridden=overridden)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    assert ran.stdout.strip() == expected


@pytest.mark.parametrize(
    ("code", "name"), [("DE", "DE"), ("XK", "Kosovo"), ("", ""), ("<b>", ""), ("GBR", "")]
)
def test_name__without_the_library_is_the_code(monkeypatch, code, name):
    monkeypatch.setattr(extras, "is_installed", lambda _: False)
    assert countries.name(code) == name


def test_sort_key__letters_with_marks_stand_among_those_without():
    names = ["Zypern", "Österreich", "Ägypten", "Oman", "Afghanistan", "Åland", "Polen"]
    assert sorted(names, key=countries.sort_key) == [
        "Afghanistan",
        "Ägypten",
        "Åland",
        "Oman",
        "Österreich",
        "Polen",
        "Zypern",
    ]


def test_sort_key__capitals_make_no_difference():
    assert countries.sort_key("ÅLAND") == countries.sort_key("åland")
