"""Plain lists, tables and JSON: files as people have them, and lists that are written and read."""

import csv
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocache.addresses.blocks import parse_entries
from geocache.blocklists.formats.base import BadLine, Element, Format, Head, Options, Remark
from geocache.blocklists.formats.json_values.documents import JsonDocument
from geocache.blocklists.formats.json_values.lines import JsonLines
from geocache.blocklists.formats.plain import PlainList
from geocache.blocklists.formats.tables.format import CsvTable
from geocache.exceptions import ImportFailed, InvalidAddress
from tests.support.formats import TextSource, seconds_of

FORMATS: Sequence[Format] = (JsonLines(), JsonDocument(), CsvTable(), PlainList())
FILES = Path(__file__).parent / "formats"
# How a list begins of which the rest is hostile.
FRONTS = {
    "list": "9.9.9.9 ",
    "CSV": "ip,comment\n1.2.3.4,x\n1.2.3.5,",
    "JSON": '["9.9.9.9", ',
    "JSON lines": "",
}


def form_of(text: str, name: str = "") -> Format:
    head = Head(tuple(text.split("\n")[:1000]))
    return next(one for one in FORMATS if (name == one.name if name else one.matches(head)))


def read(text: str, *, chunk_size: int = 100_000, **fields: Any) -> list[str]:
    """Return what a list says, as lines of a file of expectations."""
    options = Options(**fields)
    source = TextSource(text, chunk_size=chunk_size)
    lines = []
    for found in form_of(source.text, options.format_name).read(source, options):
        if isinstance(found, Element):
            lines += element_lines(found)
        elif isinstance(found, BadLine):
            lines.append(f"! {found.line_number}")
    return lines


def element_lines(element: Element) -> list[str]:
    try:
        entries = [one for text in element.texts for one in parse_entries(text)]
    except InvalidAddress:
        return [f"! {element.line_number}"]
    score = "" if element.score is None else f"{element.score:g}"
    return [f"{one.text}\t{score}\t{element.comment}".rstrip("\t") for one in entries]


def addresses(text: str, **fields: Any) -> set[str]:
    return {line.split("\t")[0] for line in read(text, **fields)}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *[("list/ipsum.txt", "list"), ("list/drop.txt", "list"), ("list/banip_commas.txt", "list")],
        *[("csv/abuse_ch.csv", "CSV"), ("csv/one_column.csv", "CSV"), ("csv/dshield.tsv", "CSV")],
        *[("json/texts.json", "JSON"), ("json/fail2ban_banip.json", "JSON")],
        *[("json_lines/drop.json", "JSON lines"), ("crowdsec/decisions.csv", "CSV")],
    ],
)
def test_matches__format_is_told_by_the_first_lines(path: str, name: str) -> None:
    assert form_of((FILES / path).read_text()).name == name


def test_read__comments_of_the_publisher_are_remarks() -> None:
    texts = ["; Merged into DROP\n; EOF\n", '{"type":"metadata","records":0}\n']
    found = [list(form_of(text).read(TextSource(text), Options())) for text in texts]
    assert found == [
        [Remark("Merged into DROP"), Remark("EOF")],
        [Remark('{"type": "metadata", "records": 0}')],
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('[{"a":' * 50_000, "nested too deeply"),
        ('["9.9.9.9"] x', "it is not JSON from 'x' on"),
        ('[{"client":"1.2.3.4"}]', "the key 'client' holds addresses"),
        ('[{"ip":"1.2.3.4","network":"1.2.3.0/24"}]', "ip and network"),
        ('{"ip":"9.9.9.9","data":[{"ip":"8.8.8.8"}]}', "ip and what is inside"),
    ],
)
def test_read__json_that_is_broken_or_doubtful_is_refused(text: str, message: str) -> None:
    with pytest.raises(ImportFailed, match=message):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        '[{"ip":"9.9.9.9","score":1e999}]',
        '[{"ip":"9.9.9.9","score":NaN}]',
        f'[{{"ip":"9.9.9.9","score":{"9" * 5000}}}]',
        '["9.9.9.9"]\n["9.9.9.9"]',
        '{"ip":["9.9.9.9","9.9.9.9"]}',
        '["9.9.9.9", "\\ud800"]',
    ],
)
def test_read__odd_values_of_json_do_no_harm(text: str) -> None:
    assert addresses(text) - {"! 1"} == {"9.9.9.9"}


@pytest.mark.slow
@pytest.mark.parametrize("name", FRONTS)
@pytest.mark.parametrize(
    "unit",
    [
        *["9", ".", ":", "a", "-", " ", ",", ";", '"', "'", "[", "{", "\\", "9.9.9.9 ", "9.9.9.9,"],
        *[
            "a:",
            "1-",
            "1.1.1.1-",
            "#",
            '""',
            '","',
            '"\n',
            '","\n',
            'x,"\n',
            '"",""\n',
            "[1]:",
            "/",
        ],
    ],
)
def test_read__hostile_text_takes_no_longer_than_other_text(name: str, unit: str) -> None:
    text = FRONTS[name] + unit * (2**17 // len(unit))
    assert seconds_of(form_of(text, name), text) < 5


IPV4 = st.integers(2**24, 2**31).map(IPv4Address)
IPV6 = st.integers(0x20010000 << 96, (0x20020000 << 96) - 1).map(IPv6Address)
ADDRESS = st.one_of(IPV4, IPV6).map(str)
NETWORKS = st.one_of(
    st.builds(
        lambda one, bits: IPv4Network((int(one), bits), strict=False), IPV4, st.integers(8, 32)
    ),
    st.builds(
        lambda one, bits: IPv6Network((int(one), bits), strict=False), IPV6, st.integers(19, 128)
    ),
).map(str)
ENTRIES = st.lists(st.one_of(ADDRESS, NETWORKS), min_size=2, max_size=30, unique=True)
# A line that begins with a number sign is a comment.
WORDS = st.text("abc xyz,;|\t\"'\né", max_size=12)


def canonical(texts: Sequence[str]) -> set[str]:
    return {one.text for text in texts for one in parse_entries(text)}


@given(
    ENTRIES,
    st.sampled_from(["\n", "\r\n", "\r", "\n\n", " \n"]),
    # A count that is not the length of a prefix, about which the reader would ask.
    st.sampled_from(["", "\t999", " # x", " ; SBL1", ","]),
)
@settings(deadline=None)
def test_plain__what_is_written_is_read(entries: list[str], end: str, rest: str) -> None:
    assert addresses("".join(f"{one}{rest}{end}" for one in entries)) == canonical(entries)


@given(ENTRIES, st.sampled_from([" ", ",", ", ", ";", "\t", "\v", "\f", "\x85", "\u2028"]))
@settings(deadline=None)
def test_plain__several_on_a_line_are_read(entries: list[str], between: str) -> None:
    text = between.join([*entries, "9.9.9.9"])
    assert addresses(text, format_name="list") == canonical([*entries, "9.9.9.9"])


@given(
    ENTRIES,
    st.lists(WORDS, min_size=30, max_size=30),
    st.tuples(st.sampled_from(",;\t|"), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])),
    st.sampled_from(["ip", "Address", "cidr", "host"]),
    st.integers(0, 2),
)
@settings(deadline=None)
def test_csv__what_is_written_is_read(
    entries: list[str], words: list[str], dialect: tuple[str, Any], title: str, place: int
) -> None:
    file, (delimiter, quoting) = io.StringIO(), dialect
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    titles, rows = ["note", "number"], []
    titles.insert(place, title)
    for number, entry in enumerate(entries):
        row = [words[number], str(number)]
        row.insert(place, entry)
        rows.append(row)
    writer.writerows([titles, *rows])
    assert addresses(file.getvalue(), format_name="CSV") == canonical(entries)


@given(ENTRIES, st.sampled_from([None, 0, 2]), st.booleans(), st.integers(1, 400))
@settings(deadline=None)
def test_json__what_is_written_is_read(
    entries: list[str], indent: int | None, is_ascii: bool, chunk_size: int
) -> None:
    objects = [{"n": number, "ip": one, "reason": "é\n"} for number, one in enumerate(entries)]
    keyed = {one: number for number, one in enumerate(entries)}
    for document in (entries, objects, {"data": objects, "total": 3}, {"ips": entries}, keyed):
        text = json.dumps(document, indent=indent, ensure_ascii=is_ascii)
        assert addresses(text, format_name="JSON", chunk_size=chunk_size) == canonical(entries)
    assert addresses(repr(entries), format_name="JSON") == canonical(entries)
    lines = "".join(f"{json.dumps(one)}\n" for one in objects)
    assert addresses(lines) == canonical(entries)


@given(st.text("0123456789.:/-,;#\"'[]{} \t\nabcip!", max_size=80))
@settings(max_examples=500, deadline=None)
def test_read__any_text_is_read_or_refused(text: str) -> None:
    for form in FORMATS:
        with suppress(ImportFailed):
            assert all(isinstance(line, str) for line in read(text, format_name=form.name))
