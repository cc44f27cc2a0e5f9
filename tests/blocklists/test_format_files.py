"""Small files of each format, their expected entries beside them, and mutants of them.

``formats/<format>/<case>.<ext>.expected`` has a line for each entry: its text, then a score and a
comment behind tabs where the case is about them; ``! 3`` for a bad line; ``? text`` for a file that
is refused with an error that contains the text. ``<case>.<ext>.options`` holds options as JSON.
"""

import io
import json
import random
import re
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geocache.addresses.blocks import Entry, parse_entries
from geocache.blocklists import report
from geocache.blocklists.entry_file import read_entries, write_entries
from geocache.blocklists.foreign import SQLITE
from geocache.blocklists.formats.base import Options
from geocache.blocklists.reader import Reading, read_list
from geocache.blocklists.text_source import FileSource
from geocache.exceptions import ImportFailed

FOLDER: Final = Path(__file__).parent / "formats"
EXPECTED: Final = ".expected"
CASES: Final = sorted(path.with_suffix("") for path in FOLDER.glob(f"*/*{EXPECTED}"))
# Mutants of each file; a slow test makes more.
MUTANTS: Final = 5
MANY_MUTANTS: Final = 25
# What mutation puts in: what means something in one format or another.
PIECES: Final = tuple(
    b"\n|\r|\0|\t| |,|;|\"|'|{|}|[|]|#|!|-|/|:|.|=|\\|0|1|9|255|/0|/33|\xff|\xef\xbb\xbf|\xff\xfe"
    b"|\xe2\x80\x8b|\xc2\xa0|\xe2\x80\xa8|add|del|delete|Unban|null|1e999|NaN|<|>|//|/*|*/|@|%".split(
        b"|"
    )
)
BYTE_ARRAY: Final = re.compile(r"\[\s*\d{1,3}(?:\s*,\s*\d{1,3})+\s*\]")
IPV4: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
NAT64: Final = ip_network("64:ff9b::/96")
NAT64_LOCAL: Final = ip_network("64:ff9b:1::/48")
IPV6: Final = re.compile(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")


def options_of(path: Path) -> Options:
    file = path.with_name(f"{path.name}.options")
    return Options(**json.loads(file.read_text())) if file.exists() else Options()


def read(data: bytes, options: Options) -> tuple[list[Entry], report.Report]:
    """Return all entries, also where there is none, and the report."""
    target = io.BytesIO()
    reading = Reading(io.BytesIO(data), options, lambda _: None)
    write_entries(reading.entries(), target)
    return list(read_entries(target)), reading.report


def expected_of(path: Path) -> tuple[list[list[str]], list[int], str]:
    """Return the entries of a file, the numbers of its bad lines, and the refusal."""
    entries, bad, refusal = [], [], ""
    for line in path.with_name(path.name + EXPECTED).read_text().splitlines():
        if line.startswith("! "):
            bad.append(int(line[2:]))
        elif line.startswith("? "):
            refusal = line[2:]
        elif line:
            entries.append(line.split("\t"))
    return entries, bad, refusal


def shown(entry: Entry, width: int) -> list[str]:
    """Return so many columns of an entry."""
    score = "" if entry.score is None else f"{entry.score:g}"
    return [entry.text, score, entry.comment][:width]


def cut_chunks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let readers get a text in parts of so many letters, cut anywhere."""
    chunks = FileSource.chunks

    def cut(self: FileSource) -> Iterator[str]:
        for chunk in chunks(self):
            yield from (chunk[start : start + size] for start in range(0, len(chunk), size))

    monkeypatch.setattr(FileSource, "chunks", cut)


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_read__gives_what_the_file_lists(
    path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "SHOWN_BAD_LINES", 1_000)
    cut_chunks(monkeypatch, size)
    expected, bad, refusal = expected_of(path)
    options = options_of(path)
    if refusal:
        with pytest.raises(ImportFailed) as caught:
            read_list(io.BytesIO(path.read_bytes()), io.BytesIO(), options)
        assert refusal in str(caught.value)
        return
    entries, found = read(path.read_bytes(), options)
    widths = {row[0]: len(row) for row in expected}
    rows = [shown(one, widths.get(one.text, 1)) for one in entries]
    assert sorted(rows) == sorted(expected)
    numbers = [int(line.removeprefix("line ").partition(":")[0]) for line in found.bad_lines]
    assert sorted(numbers) == sorted(bad), found.bad_lines


# --- mutants -------------------------------------------------------------------------------------


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return a file with a few bytes or lines removed, doubled, exchanged or put in."""
    for _ in range(chance.randrange(1, 5)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((0, 1, 1, 2, 5, 40)))
        match chance.randrange(5):
            case 0:
                data = data[:start] + data[end:]
            case 1:
                data = data[:end] + data[start:]
            case 2:
                data = data[:start] + chance.choice(PIECES) + data[end:]
            case 3:
                data = data[:start] + chance.randbytes(end - start) + data[end:]
            case _:
                other = chance.randrange(len(data) + 1)
                data = data[:start] + data[other : other + 40] + data[start:]
    return data


def written_in(text: str) -> Iterator[int]:
    """Give all addresses that a text has, as numbers in the space of IPv6."""
    for array in BYTE_ARRAY.finditer(text):
        # So does the journal write a message that has an odd character.
        yield from written_in("".join(map(chr, map(int, re.findall(r"\d+", array[0])))))
    for match in (*IPV4.finditer(text), *IPV6.finditer(text)):
        for word in {match[0], match[0].rstrip(":."), match[0].rpartition(":")[0]}:
            try:
                address = ip_address(word)
            except ValueError:
                continue
            yield number_of(address)
            if address in NAT64 or address in NAT64_LOCAL:
                # It stands for the IPv4 address in its last bits.
                yield number_of(IPv4Address(int(address) & 0xFFFF_FFFF))


def number_of(address: Any) -> int:
    return int(address) + (0xFFFF << 32 if address.version == 4 else 0)


def assert_all_are_written(entries: list[Entry], data: bytes) -> None:
    """Each entry holds an address of the text, or lies between two of one or two lines."""
    texts = [line.text for line in FileSource(io.BytesIO(data)).lines()]
    lines = [sorted(set(written_in(text))) for text in texts]
    written = sorted({number for line in lines for number in line})
    for entry in entries:
        network = ip_network(entry.text)
        first, last = number_of(network[0]), number_of(network[-1])
        if any(first <= number <= last for number in written):
            continue
        pairs = (one + other for one, other in zip(lines, [*lines[1:], []], strict=True))
        assert any(min(pair) <= first and last <= max(pair) for pair in pairs if pair), entry


@pytest.mark.parametrize(
    ("entry", "text", "is_there"),
    [
        ("9.9.9.9", "x 9.9.9.9,tcp:80", True),
        ("1.1.1.1", "1.1.1.1.5", False),
        ("1.1.1.12", "1.1.1.1 2", False),
        ("9.9.9.0/24", "9.9.9.0/255.255.255.0", True),
        ("9.9.9.64/26", "9.9.9.1 - 9.9.9.200", True),
        ("9.9.9.64/26", "9.9.9.1\n\n9.9.9.200", False),
        ("2001:db8::1", "add b 2001:db8::1-x", True),
        ("2001:db8::", "2001:db8::1", False),
    ],
)
def test_assert_all_are_written__can_fail(entry: str, text: str, is_there: bool) -> None:
    with nullcontext() if is_there else pytest.raises(AssertionError):
        assert_all_are_written(parse_entries(entry), text.encode())


def try_mutant(path: Path, chance: random.Random) -> None:
    original = path.read_bytes()
    data = mutated(original, chance)
    try:
        entries, _ = read(data, options_of(path))
    except ImportFailed:
        return
    if not original.startswith(SQLITE):
        assert_all_are_written(entries, data)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_read__mutant_never_crashes_nor_lists_what_it_has_not(path: Path) -> None:
    for seed in range(MUTANTS):
        try_mutant(path, random.Random(seed))


@pytest.mark.slow
@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_read__many_mutants_never_crash_nor_list_what_they_have_not(path: Path) -> None:
    for seed in range(MUTANTS, MANY_MUTANTS):
        try_mutant(path, random.Random(seed))


@pytest.mark.slow
@example(words=["64:ff9b::"], between="")
@example(words=["64:ff9b:1::909:909"], between="")
@given(
    st.lists(
        st.one_of(
            st.sampled_from([piece.decode("latin-1") for piece in PIECES]),
            st.ip_addresses().map(str),
            st.sampled_from(
                ["add x", "create x hash:ip", "table inet f {", "elements = {", "ip,count", ""]
            ),
            st.sampled_from(["- ", " - ", "/24", " netmask ", '{"ip":', "Ban "]),
            st.text(max_size=5),
        ),
        max_size=30,
    ),
    st.sampled_from(["", " ", "\n"]),
)
@settings(deadline=None)
def test_read__any_text_never_crashes_nor_lists_what_it_has_not(
    words: list[str], between: str
) -> None:
    data = between.join(words).encode("utf-8", "surrogatepass")
    try:
        entries, _ = read(data, Options())
    except ImportFailed:
        return
    assert_all_are_written(entries, data)


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_read__any_bytes_never_crash(data: bytes) -> None:
    with suppress(ImportFailed):
        read(data, Options())
