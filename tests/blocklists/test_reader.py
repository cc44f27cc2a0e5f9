import io
import json
from typing import Any

import pytest

from geocache.addresses.blocks import Entry
from geocache.blocklists import reader
from geocache.blocklists.entry_file import read_entries
from geocache.blocklists.formats import detect
from geocache.blocklists.formats.base import BadLine, Element, Options, Remark
from geocache.blocklists.reader import read_list
from geocache.blocklists.report import Report
from geocache.exceptions import ImportFailed
from tests.support.formats import GivenFormat


def read(data: bytes | str, **options: Any) -> tuple[list[Entry], Report]:
    file, target = io.BytesIO(data if isinstance(data, bytes) else data.encode()), io.BytesIO()
    report = read_list(file, target, Options(**options))
    return list(read_entries(target)), report


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the reader of the format gives, whatever the list is."""
    found: list[Any] = []
    monkeypatch.setattr(detect, "FORMATS", (GivenFormat("given", found),))
    return found


def test_read_list__elements_are_entries_with_score_and_comment(given: list[Any]) -> None:
    given += [
        Element(1, ("9.9.9.9",), 3, "bad"),
        Element(2, ("8.8.8.8", "2606:4700::/32")),
        Element(3, ("1.0.0.1-1.0.0.2",), 1, "both"),
    ]
    entries, report = read("x")
    assert [one[2:] for one in entries] == [
        ("1.0.0.1", 1.0, "both"),
        ("1.0.0.2", 1.0, "both"),
        ("8.8.8.8", None, ""),
        ("9.9.9.9", 3.0, "bad"),
        ("2606:4700::/32", None, ""),
    ]
    assert (report.format_name, report.entry_count, report.network_count) == ("given", 5, 1)


def test_read_list__one_text_that_is_no_address_spoils_its_element(given: list[Any]) -> None:
    given += [Element(7, ("9.9.9.9", "nonsense", "8.8.8.8")), Element(8, ("1.1.1.1",))]
    entries, report = read("x")
    assert [one.text for one in entries] == ["1.1.1.1"]
    assert report.bad_lines == ["line 7: 'nonsense' is not an address"]


def test_read_list__bad_lines_are_counted_and_the_first_shown(given: list[Any]) -> None:
    given += [BadLine(n, f"x\0{n}" + "y" * 200, "is odd") for n in range(1, 9)]
    given += [Element(9, ("1.1.1.1",))]
    _, report = read("x")
    assert (report.bad_count, len(report.bad_lines)) == (8, 5)
    shown = "x\N{REPLACEMENT CHARACTER}1" + "y" * 77
    assert report.bad_lines[0] == f"line 1: {shown!r} is odd"


def test_read_list__invisible_characters_beside_an_address(given: list[Any]) -> None:
    # As in a JSON text that has them escaped.
    given.append(Element(1, ("\u200b9.9.9.9\ufeff",)))
    assert [one.text for one in read("x")[0]] == ["9.9.9.9"]
    given.append(Element(2, ("1.1.1.1\u200b2",)))
    assert read("x")[1].bad_count == 1


def test_read_list__publisher_of_an_empty_list_is_quoted(given: list[Any]) -> None:
    given += [Remark("# ----"), Remark("; Spamhaus EDROP"), Remark("; Merged into DROP")]
    with pytest.raises(ImportFailed) as caught:
        read("; x\n")
    assert str(caught.value) == (
        "nothing in it is an address; its publisher says: "
        '"Spamhaus EDROP / Merged into DROP"; --allow-empty accepts an empty list'
    )
    entries, report = read("; x\n", allow_empty=True)
    assert (entries, report.entry_count, report.bad_count) == ([], 0, 0)


@pytest.mark.parametrize("data", ["", "\n \n", "\ufeff", "\u200b\n", "\0\0\0"])
def test_read_list__nothing_is_never_an_empty_list(given: list[Any], data: str) -> None:
    assert given == []
    with pytest.raises(ImportFailed, match=r"^nothing in it is an address \(it is empty\)$"):
        read(data, allow_empty=True)


def test_read_list__bad_lines_alone_are_never_an_empty_list(given: list[Any]) -> None:
    given += [Remark("# x"), BadLine(2, "Sorry", "is odd")]
    with pytest.raises(ImportFailed, match=r"address \(line 2: 'Sorry' is odd\)$"):
        read("# x\nSorry", allow_empty=True)


@pytest.mark.parametrize(
    ("good_count", "bad_count", "is_refused"), [(0, 51, True), (4, 51, True), (6, 51, False)]
)
def test_read_list__so_many_bad_lines_end_it(
    given: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    good_count: int,
    bad_count: int,
    is_refused: bool,
) -> None:
    monkeypatch.setattr(reader, "MAX_BAD_LINES", 50)
    given += [Element(n, (f"9.9.9.{n}",)) for n in range(good_count)]
    given += [Element(100 + n, ("nonsense",)) for n in range(bad_count)]
    given += [Element(200, ("1.0.0.1",))] * 2
    if is_refused:
        with pytest.raises(ImportFailed, match=r"^more than 50 .*\(line 100: 'nonsense' is not"):
            read("x")
    else:
        assert read("x")[1].bad_count == bad_count


def test_read_list__page_of_an_error_is_refused_whatever_it_lists() -> None:
    page = "<html>\n9.9.9.9\n</html>\n"
    for options in ({}, {"allow_empty": True}, {"format_name": "list"}):
        for data in (page.encode(), page.encode("utf-16")):
            with pytest.raises(ImportFailed, match="it is an HTML page"):
                read(data, **options)


def test_read_list__format_that_is_named_wins() -> None:
    assert read("9.9.9.9\n", format_name="LIST")[1].format_name == "list"
    with pytest.raises(ImportFailed, match=r"there is no format 'xls'; choose one of .*list"):
        read("9.9.9.9\n", format_name="xls")


def test_read_list__database_is_one_and_nothing_else_is() -> None:
    with pytest.raises(ImportFailed, match="it is not fail2ban's database"):
        read("9.9.9.9\n", format_name="fail2ban-database")
    with pytest.raises(ImportFailed, match="it is a database of SQLite, not 'CSV'"):
        read(b"SQLite format 3\0" + bytes(100), format_name="CSV")
    with pytest.raises(ImportFailed, match="no database of fail2ban"):
        read(b"SQLite format 3\0" + bytes(100))


def test_main__says_what_it_has_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reader, "limit_resources", lambda _: None)
    request = json.dumps({"options": {}, "seconds": 9, "folder": "/tmp"})
    for data, code, key in ((b"9.9.9.9\n", 0, "report"), (b"", 1, "error")):
        stdin = io.TextIOWrapper(io.BytesIO(data))
        monkeypatch.setattr(reader.sys, "stdin", stdin)
        stdout = io.TextIOWrapper(io.BytesIO())
        monkeypatch.setattr(reader.sys, "stdout", stdout)
        assert reader.main(request) == code
        assert list(json.loads(capsys.readouterr().err)) == [key]
