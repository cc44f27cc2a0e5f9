import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocache.addresses import extraction, line_finder
from geocache.addresses.extraction import find_addresses
from geocache.addresses.line_finder import LineFinder

COMBINED = '{} - - [02/Jan/2026:03:04:05 +0000] "GET {} HTTP/1.1" 200 12 "{}" "{}"'
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML) Chrome/120.0.0.0 Safari/537.36"
# What lines are made of: addresses, what hides them, and what only looks like one.
PIECES = [
    "9.9.9.9",
    "192.0.2.1",
    "2620:fe::fe",
    "::1",
    "::ffff:9.9.9.9",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:9.9.9.9",
    "fe80::1%eth0",
    "9.9.9.9/32",
    "9.9.9.0/24",
    "9.9.9.9:443",
    "9.9",
    "dead::beef",
    "12:34:56",
    "255.255.255.0",
    "Chrome/120.0.0.0",
    "HIER_DIRECT/9.9.9.9",
    "version",
    "v",
    "id",
    "CEF:0|a|b|",
    " ",
    " ",
    "  ",
    ' "',
    '" "',
    '"',
    "\t",
    "#",
    "-",
    ".",
    ":",
    "/",
    "|",
    "\\",
    "[.]",
    "[dot]",
    "(DOT)",
    "[:]",
    "%2E",
    "%3a",
    "%253A",
    "%20",
    "\\x2e",
    "&quot;",
    "\x1b[0m",
    " > ",
    "\N{NO-BREAK SPACE}",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "x" * 60,
    "word",
    "0",
    "9",
    "fe",
    "443: ",
]
LINES = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
ACCESS_LINES = st.builds(COMBINED.format, *[LINES] * 4)
EVERYTHING = re.compile("")


def found_by(finder: LineFinder, line: str) -> tuple[str, ...]:
    return next(finder.find_each([line]))


def texts(line: str) -> tuple[str, ...]:
    return tuple(map(str, find_addresses(line)))


@given(st.lists(st.one_of(LINES, ACCESS_LINES), max_size=6))
def test_find__finds_what_find_addresses_does(lines):
    finder = LineFinder()
    # Twice: from what it remembers, too.
    for line in lines * 2:
        assert found_by(finder, line) == texts(line)


@given(start=st.sampled_from(PIECES), ends=st.lists(LINES, min_size=2, max_size=4))
def test_find__lines_that_share_start_or_end(start, ends):
    finder = LineFinder()
    for first in (start, "9.9.9.9", f"{start} version"):
        for end in ends:
            line = COMBINED.format(first, "/", "-", end)
            assert found_by(finder, line) == texts(line)


@given(st.one_of(LINES, ACCESS_LINES, st.text(max_size=80)))
def test_find_addresses__a_line_without_the_shape_of_one_has_none(line):
    quick = texts(line)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extraction, "SHAPE", EVERYTHING)
        assert texts(line) == quick


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (CHROME, ("9.9.9.9",)),
        (f"{CHROME} 1.1.1.1", ("9.9.9.9", "1.1.1.1")),
        # What is in front of the field decides whether it is a version.
        ("1.1.1.1", ("9.9.9.9", "1.1.1.1")),
    ],
)
def test_find__addresses_behind_the_first_are_found_in_each_line(end, expected):
    finder = LineFinder()
    for path in ("/", "/a", "/"):
        assert found_by(finder, COMBINED.format("9.9.9.9", path, "-", end)) == expected


def test_find__the_same_end_is_a_version_in_one_line_only():
    finder = LineFinder()
    assert found_by(finder, '9.9.9.9 release "1.1.1.1') == ("9.9.9.9",)
    assert found_by(finder, '9.9.9.9 from "1.1.1.1') == ("9.9.9.9", "1.1.1.1")


def test_find__the_same_end_is_an_address_in_one_line_only():
    finder = LineFinder()
    assert found_by(finder, '9.9.9.9 our "id 1.1.1.1') == ("9.9.9.9",)
    assert found_by(finder, '9.9.9.9 router "id 1.1.1.1') == ("9.9.9.9", "1.1.1.1")


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        ("9%2E9%2e9%2E9", "9.9.9.9"),
        ("2620%3Afe%3a%3Afe", "2620:fe::fe"),
        ("2620%253Afe%253A%253Afe", "2620:fe::fe"),
        ("9[.]9(.)9{.}9", "9.9.9.9"),
        ("9[dot]9(DOT)9{Dot}9", "9.9.9.9"),
        ("2620[:]fe(::)fe", "2620:fe::fe"),
        (r"9\.9\.9\.9", "9.9.9.9"),
        ("2620:1:2:3:4:5:6:7", "2620:1:2:3:4:5:6:7"),
        ("2620:1:2:3:4:5:9.9.9.9", "2620:1:2:3:4:5:909:909"),
    ],
)
def test_find__each_shape_of_an_address_is_seen_in_every_place(hidden, expected):
    for line in (f"from {hidden}", f"1.1.1.1 from {hidden}", f'1.1.1.1 - "{hidden}"'):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(extraction, "SHAPE", EVERYTHING)
            slowly = texts(line)
        assert found_by(LineFinder(), line) == slowly
        assert slowly[-1:] == (expected,)


def test_find__a_line_that_is_like_others_is_not_searched_again(monkeypatch):
    finder = LineFinder()
    found_by(finder, COMBINED.format("9.9.9.9", "/", "-", CHROME))
    monkeypatch.setattr(line_finder, "find_addresses", lambda *_, **__: pytest.fail("searched"))
    assert found_by(finder, COMBINED.format("9.9.9.9", "/b", "/c", CHROME)) == ("9.9.9.9",)


def test_find__forgets_instead_of_growing(monkeypatch):
    monkeypatch.setattr(line_finder, "REMEMBERED", 2)
    finder = LineFinder()
    for number in range(9):
        line = f'9.9.9.{number} "a" "{number}"'
        assert found_by(finder, line) == (f"9.9.9.{number}",)
        assert found_by(finder, line) == (f"9.9.9.{number}",)
