import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable

import pytest

from geocache.decoding import compression
from geocache.decoding.compression import unpacked
from geocache.exceptions import UnreadableText

TEXT = b"9.9.9.9\n" * 1_000
PACKERS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}
several = pytest.mark.parametrize("pack", [PACKERS[name] for name in ("gzip", "bzip2", "xz")])


def read(data: bytes) -> bytes:
    source = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]  # it reads as one
    return b"".join(unpacked(source))


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_unpacked__one_stream(pack: Callable[[bytes], bytes]) -> None:
    assert read(pack(TEXT)) == TEXT
    assert read(pack(b"")) == b""


@several
def test_unpacked__several_streams_and_padding(pack: Callable[[bytes], bytes]) -> None:
    assert read(pack(TEXT) + pack(b"") + pack(b"8.8.8.8\n") + bytes(512)) == TEXT + b"8.8.8.8\n"


@several
def test_unpacked__more_than_a_chunk(
    monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(compression, "CHUNK_BYTES", 100)
    data = os.urandom(5_000) + TEXT
    assert read(pack(data) + pack(data)) == 2 * data


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_unpacked__cut_off_anywhere_is_refused(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(TEXT)
    for length in range(6, len(packed)):
        with pytest.raises(UnreadableText, match="damaged or cut off"):
            read(packed[:length])


@several
@pytest.mark.parametrize("more", [b"8.8.8.8\n", b"\n"])
def test_unpacked__what_follows_is_not_passed_over(
    pack: Callable[[bytes], bytes], more: bytes
) -> None:
    with pytest.raises(UnreadableText, match="damaged or cut off"):
        read(pack(TEXT) + more)


@several
def test_unpacked__is_bounded_whatever_is_inside(pack: Callable[[bytes], bytes]) -> None:
    source = io.BufferedReader(io.BytesIO(pack(bytes(2**24))))  # type: ignore[arg-type]  # as above
    sizes = list(map(len, unpacked(source)))
    assert max(sizes) <= compression.CHUNK_BYTES
    assert sum(sizes) == 2**24


def test_unpacked__file_that_fails_is_no_damage() -> None:
    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, target: object) -> int:  # noqa: ARG002 - it always fails
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        list(unpacked(io.BufferedReader(Broken())))
