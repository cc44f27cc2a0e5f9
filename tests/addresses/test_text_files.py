import bz2
import gzip
import io
import lzma
import os
import threading
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocache.addresses.text_files import MAX_LINE_CHARACTERS, Lines, lines, read_all
from geocache.exceptions import UnreadableText

TEXT = "8.8.8.8 é\n9.9.9.9\n"
PACKED = [
    pytest.param(lambda data: data, id="plain"),
    pytest.param(gzip.compress, id="gzip"),
    pytest.param(bz2.compress, id="bzip2"),
    pytest.param(lzma.compress, id="xz"),
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]


def texts(data: bytes) -> list[str]:
    return [text for some in lines(io.BytesIO(data)) for text in some.texts]


@pytest.mark.parametrize("pack", PACKED)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lines__of_every_packing_and_encoding(pack, encoding):
    data = pack(TEXT.encode(encoding))
    assert texts(data) == ["8.8.8.8 é", "9.9.9.9"]
    assert read_all(io.BytesIO(data), 1_000) == TEXT


@pytest.mark.parametrize("pack", PACKED[1:])
def test_lines__of_several_packed_parts(pack):
    data = pack(b"8.8.8.8\n") + pack(b"9.9.9.9\n")
    assert texts(data) == ["8.8.8.8", "9.9.9.9"]


def test_lines__of_xz_with_padding():
    data = lzma.compress(b"8.8.8.8\n") + bytes(8) + lzma.compress(b"9.9.9.9\n") + bytes(4)
    assert texts(data) == ["8.8.8.8", "9.9.9.9"]


def test_lines__whatever_ends_them():
    assert list(lines(io.BytesIO(b"a\rb\r\nc\n\nd"))) == [
        Lines(1, ["a", "b", "c", ""], is_all=True),
        Lines(5, [], is_all=True),
        Lines(5, ["d"], is_all=True),
    ]


def test_lines__bytes_that_are_not_text_are_replaced():
    assert texts(b"8.8.8.8 caf\xe9\n\x00\x009.9.9.9") == ["8.8.8.8 caf\ufffd", "\0\x009.9.9.9"]


def test_lines__a_long_one_comes_in_parts_that_cut_no_word():
    words = [f"20.0.{n >> 8 & 255}.{n & 255}" for n in range(30_000)]
    found = [some for some in lines(io.BytesIO((" ".join(words) + "\nend").encode())) if some.texts]
    parts, rest, end = found[:-2], found[-2], found[-1]
    assert [some.number for some in found] == [1] * (len(found) - 1) + [2]
    assert [(some.is_start, some.is_end, len(some.texts)) for some in parts] == [
        (number == 0, False, 1) for number in range(len(parts))
    ]
    assert (rest.is_start, rest.is_end, len(rest.texts)) == (False, True, 1)
    assert (end.is_start, end.is_end, end.texts) == (True, True, ["end"])
    assert "".join(some.texts[0] for some in [*parts, rest]).split() == words
    assert max(len(some.texts[0]) for some in found) <= 2 * MAX_LINE_CHARACTERS


def test_lines__are_told_to_be_all_only_where_more_may_be_waited_for():
    found = list(lines(io.BytesIO(b"20.0.0.1\n" * 100_000)))
    # The first is what was looked at to see whether it is packed.
    assert [some.is_all for some in found] == [True] + [False] * (len(found) - 3) + [True] * 2


@given(st.binary(max_size=2_000))
def test_lines__any_bytes_are_read_or_refused(data):
    for given_data in (
        data,
        gzip.compress(data, mtime=0)[: len(data)],
        b"BZh91AY&SY" + data,
        data[:3],
    ):
        with suppress(UnreadableText):
            texts(given_data)


@pytest.mark.parametrize("pack", PACKED[1:])
@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:20] + b"x" * 50])
def test_lines__damage_is_said(pack, damage):
    data = damage(pack(os.urandom(5_000).hex().encode()))
    with pytest.raises(UnreadableText, match="damaged or cut off"):
        texts(data)
    with pytest.raises(UnreadableText, match="damaged or cut off"):
        read_all(io.BytesIO(data), 100_000)


@pytest.mark.parametrize(
    ("magic", "what"),
    [
        (b"PK\x03\x04", "it is a ZIP archive; unpack it, and hand in the text inside"),
        (b"\x28\xb5\x2f\xfd", "it is packed with zstd; unpack it with zstd -d"),
        (b"%PDF-1.7\n8.8.8.8\n", "it is a PDF document; ask its publisher for a text file"),
        (
            gzip.compress(gzip.compress(b"8.8.8.8", mtime=0), mtime=0),
            "it is packed twice; unpack it with gunzip",
        ),
    ],
)
def test_lines__what_is_no_text_is_named(magic, what):
    with pytest.raises(UnreadableText, match=what):
        texts(magic)


def test_lines__error_of_the_disk_stays_one():
    class Broken(io.BytesIO):
        def read1(self, *_):
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        list(lines(Broken()))


@pytest.mark.parametrize("pack", PACKED)
def test_read_all__no_more_than_is_allowed(pack):
    assert read_all(io.BytesIO(pack(b"x" * 1_000)), 1_000) == "x" * 1_000
    assert read_all(io.BytesIO(pack(b"x" * 1_001)), 1_000) is None


@pytest.mark.parametrize("pack", PACKED[1:])
def test_read_all__memory_of_a_bomb_is_bounded(pack):
    data = pack(bytes(50 * 2**20))
    tracemalloc.start()
    assert read_all(io.BytesIO(data), 2**20) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20  # xz asks for eight


def test_lines__memory_is_flat():
    def peak(count: int) -> int:
        data = io.BytesIO(gzip.compress(b"20.0.0.1 said no\n" * count, mtime=0))
        tracemalloc.start()
        for _ in lines(data):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(100_000) < peak(10_000) + 2**20


def test_lines__of_a_pipe_come_as_they_are_written():
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as file, os.fdopen(write_end, "wb", buffering=0) as writer:
        writer.write(b"8.8.8.8\n9.9")
        found = lines(file)
        # Would wait for ever if more was wanted first.
        timer = threading.Timer(20, writer.close)
        timer.start()
        assert next(found) == Lines(1, ["8.8.8.8"], is_all=True)
        assert not writer.closed
        timer.cancel()
        writer.write(b".9.9\n")
        assert next(found) == Lines(2, ["9.9.9.9"], is_all=True)


def test_lines__bytes_are_counted_as_they_are_read():
    counts: list[int] = []
    data = gzip.compress(os.urandom(200_000).hex().encode())
    list(lines(io.BytesIO(data), counts.append))
    assert sum(counts) == len(data)
