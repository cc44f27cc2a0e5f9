import codecs
import io
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocache.blocklists import text_source
from geocache.blocklists.formats.base import BadLine
from geocache.blocklists.text_source import FileSource
from geocache.decoding import encodings
from geocache.decoding.encodings import find_encoding


def source(data: bytes | str) -> FileSource:
    return FileSource(io.BytesIO(data.encode() if isinstance(data, str) else data))


def lines(data: bytes | str) -> list[str]:
    found = list(source(data).lines())
    assert [one.number for one in found] == list(range(1, len(found) + 1))
    return [one.text for one in found]


def chunks(data: bytes | str) -> str:
    return "".join(source(data).chunks())


TEXT = "# Größe: São Paulo, 東京\n9.9.9.9\n\n2606:4700::/32 x\n"


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", b""),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", b""),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", b""),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-32-be", b""),
        ("utf-32-be", codecs.BOM_UTF32_BE),
    ],
)
def test_lines__of_each_encoding_of_unicode(encoding: str, mark: bytes) -> None:
    data = mark + TEXT.encode(encoding)
    assert lines(data) == TEXT.splitlines()
    assert chunks(data) == TEXT
    assert lines(mark + "9.9.9.9".encode(encoding)) == ["9.9.9.9"]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "koi8-r", "shift_jis", "gb18030"])
def test_lines__of_another_encoding_have_their_addresses(encoding: str) -> None:
    comment = {"cp1252": "São Paulo", "latin-1": "Größe", "koi8-r": "Москва"}.get(encoding, "東京")
    found = lines(f"# {comment}\n9.9.9.9\t{comment}\n8.8.8.8\n".encode(encoding))
    assert [one.split("\t")[0] for one in found[1:]] == ["9.9.9.9", "8.8.8.8"]
    # What it cannot read is not said to be something else.
    assert "\N{REPLACEMENT CHARACTER}" in found[0]


def test_lines__cut_in_the_middle_of_a_character() -> None:
    assert lines("9.9.9.9\n".encode("utf-16-le")[:-1]) == ["9.9.9.9\N{REPLACEMENT CHARACTER}"]
    assert lines(b"9.9.9.9 \xe6\x9d") == ["9.9.9.9 \N{REPLACEMENT CHARACTER}"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a\nb\n", ["a", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\rb\r", ["a", "b"]),
        ("a\nb\rc\r\nd", ["a", "b", "c", "d"]),
        ("a\r\r\nb", ["a", "", "b"]),
        ("a\n\rb", ["a", "", "b"]),
        ("\n\na", ["", "", "a"]),
        ("", []),
        ("a\x0bb\x0cc\x85d\u2028e\u2029f", ["a", "b", "c", "d", "e", "f"]),
        # As find -print0 and its like write; beside line ends it is only a space.
        ("9.9.9.9\0::1\0", ["9.9.9.9", "::1"]),
        ("::1\0::2\0", ["::1", "::2"]),
        ("9.9.9.9\0x\n8.8.8.8\0\n", ["9.9.9.9 x", "8.8.8.8 "]),
    ],
)
def test_lines__end_as_editors_see_it(data: str, expected: list[str]) -> None:
    assert lines(data) == expected
    assert lines(data.encode("utf-8")) == expected


def test_chunks__have_white_space_where_a_grammar_knows_no_line_end() -> None:
    assert chunks("a\x0bb\x0cc\x85d\u2028e\r\nf\rg") == "a b c d e\nf\ng"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("\u200b9.9.9.9\u200b", "9.9.9.9"),
        ("\u200e9.9.9.9\u200f # x", "9.9.9.9 # x"),
        ("9.9.9.9,\u200b 8.8.8.8", "9.9.9.9, 8.8.8.8"),
        ("\ufeff\ufeff9.9.9.9", "9.9.9.9"),
        ("9.9.9.9\ufeff", "9.9.9.9"),
        ('"\u2066 9.9.9.9\u2069"', '" 9.9.9.9"'),
        ("9.9.9.9\u00a05", "9.9.9.9 5"),
        ("\u30009.9.9.9\u2003\u202f5", " 9.9.9.9  5"),
        # Never joined to another address, nor cut to a shorter one.
        ("1.1.1.1\u200b2", "1.1.1.1\u200b2"),
        ("2001:db8::\u200b\u200b1", "2001:db8::\u200b1"),
        ("9.9.9.0\u00ad/24", "9.9.9.0\u00ad/24"),
        ("\u05d0\u200f1.1.1.1", "\u05d0\u200f1.1.1.1"),
    ],
)
def test_lines__lose_what_cannot_be_seen(data: str, expected: str) -> None:
    assert lines(data) == [expected]
    assert chunks(data) == expected


def test_lines__no_break_space_of_one_byte_is_a_space() -> None:
    assert lines(b"9.9.9.9\xa05 S\xe3o\n8.8.8.8\xa0\n")[1] == "8.8.8.8 "


@given(
    st.text(
        st.sampled_from("19.:/ab \n\r\v\0\u200b\u200e\u00ad\ufeff\u00a0é\u2028東"), max_size=60
    ),
    st.integers(1, 9),
)
def test_source__is_the_same_however_it_is_cut(text: str, size: int) -> None:
    whole = source(text)
    expected = [list(whole.lines()), "".join(whole.chunks())]
    with pytest.MonkeyPatch.context() as patch:
        # Enough to tell the encoding and the line ends; then a few bytes at a time.
        patch.setattr(text_source, "CHUNK_BYTES", 1_000)
        one = FileSource(Trickle(text.encode(), size))
        assert [list(one.lines()), "".join(one.chunks())] == expected


class Trickle(io.BytesIO):
    """Gives its first bytes whole to who looks how it begins, then a few at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self.size = size
        self.is_head = True

    def read(self, size: int | None = -1) -> bytes:
        if self.is_head:
            self.is_head = False
            return super().read(size)
        part = super().read(self.size)
        self.is_head = not part
        return part


def test_lines__longer_than_a_million_letters_are_said() -> None:
    refused: list[BadLine] = []
    data = b"9.9.9.9\n" + b"1.1.1.1 " * 1_000_000 + b"\n8.8.8.8\n" + b"x" * 2**22 + b"\n"
    one = FileSource(io.BytesIO(data), refuse=refused.append)
    assert [len(line.text) for line in one.lines()] == [7, 0, 7, 2**22]
    assert [(bad.line_number, bad.reason) for bad in refused] == [
        (2, "is longer than 4,194,304 letters, and was not read")
    ]
    assert len(refused[0].text) == 80
    # Who reads chunks reads it all.
    assert chunks(data) == data.decode()


def test_line_count__after_each_way_to_read() -> None:
    for data, count in (("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("a\r\nb\r\n", 2)):
        one = source(data)
        list(one.lines())
        assert one.line_count == count
        one = source(data)
        list(one.chunks())
        assert one.line_count == count


def test_head__is_bounded() -> None:
    assert source("a\nb\n").head().lines == ("a", "b", "")
    assert len(source("a\n" * 10_000).head().lines) == text_source.HEAD_LINES
    (line,) = source(b"x" * 2**20).head().lines
    assert len(line) == text_source.HEAD_LETTERS


def test_watch__is_told_how_far_it_is() -> None:
    told: list[int] = []
    one = FileSource(io.BytesIO(b"9.9.9.9\n" * 100_000), watch=told.append)
    list(one.lines())
    assert told[-1] == 800_000
    assert told == sorted(told)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    ["\u200b" * 2**18, "a\u200b" * 2**18, "\u200b\n" * 2**18, "\0" * 2**18, "\r" * 2**18],
)
def test_source__is_linear(data: str) -> None:
    began = time.process_time()
    list(source(data).lines())
    list(source(data).chunks())
    assert time.process_time() - began < 5


def test_find_encoding__of_any_bytes() -> None:
    chance = random.Random(1)
    for _ in range(300):
        data = chance.randbytes(chance.randrange(50))
        assert find_encoding(data)[0] in {"utf-8", *(name for name, *_ in encodings.WIDE)}
        lines(data)
