"""Unpack gzip, bzip2 and xz, part by part; what is damaged, cut off or followed by more is refused.

The modules of the standard library that read files ignore what follows a bzip2 or xz stream.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from io import BufferedRandom, BufferedReader
from typing import Final, Protocol

from geocache.decoding.signatures import HEAD_BYTES, binary_problem
from geocache.exceptions import UnreadableText

CHUNK_BYTES: Final = 2**16
# Of xz, whose streams say how much memory they need: more than ``xz -9`` does.
MEMORY_BYTES: Final = 2**27
DAMAGED: Final = "it is damaged or cut off, and cannot be unpacked"


class Unpacker(Protocol):
    """One stream; a file holds one or more."""

    @property
    def eof(self) -> bool:
        """Tell whether its end was read."""

    @property
    def needs_input(self) -> bool:
        """Tell whether there is nothing more to give without more input."""

    @property
    def unused_data(self) -> bytes:
        """Return what was read beyond its end."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most ``max_length`` bytes more."""


class GzipUnpacker:
    """One member of a gzip file, as bzip2 and xz are read."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._is_full = False

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not (self._is_full or self._stream.unconsumed_tail)

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        part = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        # More may be waiting inside, also when all of the input was taken.
        self._is_full = len(part) == max_length
        return part


def _xz() -> Unpacker:
    return lzma.LZMADecompressor(memlimit=MEMORY_BYTES)


# How each begins.
UNPACKERS: Final[dict[bytes, Callable[[], Unpacker]]] = {
    b"\x1f\x8b": GzipUnpacker,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": _xz,
    # Its predecessor, of the program lzma.
    b"\x5d\x00\x00": _xz,
}
MAGIC_BYTES: Final = max(map(len, UNPACKERS))


def unpacked(source: BufferedReader | BufferedRandom) -> Iterator[bytes]:
    """Give all of ``source``, unpacked if need be, as soon as it has something.

    Raises ``UnreadableText`` for what is damaged, and for what is not text.
    """
    chunks = _unpacked(source)
    first = next(chunks, b"")
    if problem := binary_problem(first[:HEAD_BYTES]):
        raise UnreadableText(problem)
    yield first
    yield from chunks


def _unpacked(source: BufferedReader | BufferedRandom) -> Iterator[bytes]:
    head = source.peek(MAGIC_BYTES)[:MAGIC_BYTES]
    kind = next((one for magic, one in UNPACKERS.items() if head.startswith(magic)), None)
    if kind is None:
        return iter(lambda: source.read1(CHUNK_BYTES), b"")
    return _whole(_streams(kind, source))


def _whole(parts: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from parts
    except (lzma.LZMAError, zlib.error, EOFError) as error:
        raise UnreadableText(DAMAGED) from error
    except OSError as error:
        if error.errno is not None:
            raise
        # So does bz2 call what it cannot read.
        raise UnreadableText(DAMAGED) from error


def _streams(
    kind: Callable[[], Unpacker], source: BufferedReader | BufferedRandom
) -> Iterator[bytes]:
    data = b""
    while True:
        stream = kind()
        while not stream.eof:
            if stream.needs_input and not data:
                data = source.read1(CHUNK_BYTES)
                if not data:
                    raise EOFError
            part = stream.decompress(data, CHUNK_BYTES)
            data = b""
            if part:
                yield part
        # Streams may be padded with zeros.
        data = stream.unused_data.lstrip(b"\0")
        while not data:
            chunk = source.read1(CHUNK_BYTES)
            if not chunk:
                return
            data = chunk.lstrip(b"\0")
