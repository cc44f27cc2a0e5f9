import pytest
from django.utils.translation import override

from geocache import countries


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
