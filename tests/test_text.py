import json

import pytest

from geocache.text import (
    storable,
    storable_line,
    strip_unprintable,
    terminal_safe,
    unescaped,
)


def test_strip_unprintable__replaces_what_no_page_may_hold_and_nothing_else():
    assert strip_unprintable("a\x00\x1b\x7f\x9f\ufdd0\uffff") == "a" + 6 * "\ufffd"
    assert strip_unprintable("a\t\n\r <b> é 😀") == "a\t\n\r <b> é 😀"


def test_storable__escapes_what_a_database_refuses_and_nothing_else():
    assert storable("a\0b\ud800c") == r"a\u0000b\ud800c"
    assert storable("a\t\n\x1b <b> \\ '") == "a\t\n\x1b <b> \\ '"
    assert storable("é 😀") == r"\u00e9 \ud83d\ude00"


def test_storable__json_stays_the_same_json():
    text = '{"city": "Łódź 😀 \\"x\\""}'
    assert storable(text).isascii()
    assert json.loads(storable(text)) == json.loads(text)


def test_storable__takes_an_error():
    assert storable(ValueError("no\0")) == r"no\u0000"


@pytest.mark.parametrize(
    ("text", "length", "kept"),
    [
        (" two\n\twords\r\n", 20, "two words"),
        ("é" * 3, 13, r"\u00e9\u00e9"),
        ("é" * 3, 17, r"\u00e9\u00e9"),
        ("a😀", 13, r"a\ud83d\ude00"),
        ("a😀", 12, "a"),
        ("a😀", 7, "a"),
        ("abcdef ghi", 7, "abcdef"),
        ("a\0", 9, r"a\ufffd"),
    ],
)
def test_storable_line__is_cut_between_characters(text, length, kept):
    assert storable_line(text, length) == kept


def test_unescaped__is_what_was_stored_or_fit_for_a_page():
    for text in ("é 😀 \\ <b>", "Zürich", "C:\\users", "\\u12"):
        assert unescaped(storable(text)) == text
    assert unescaped(r"\ud83d \u0000\u001b") == "\ufffd \ufffd\ufffd"


@pytest.mark.parametrize("character", ["\n", "\r", "\x1b", "\x9b", "\u202e", "\ud800"])
def test_terminal_safe__replaces_what_moves_the_cursor(character):
    assert terminal_safe(f"a{character}[2Jb") == "a?[2Jb"


def test_terminal_safe__leaves_letters_of_the_world():
    assert terminal_safe("São Paulo 東京") == "São Paulo 東京"
