"""The lines of a file, however it is packed, encoded and ended; memory stays flat.

gzip, bzip2 and xz; UTF-8, UTF-16 and UTF-32, with a byte order mark or without; LF, CRLF and CR.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from geocache.exceptions import UnreadableText

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# A longer line comes in several parts.
MAX_LINE_CHARACTERS: Final = 65_536
# Where a long line may be cut: no address has these inside.
SEPARATORS: Final = " \t,;\"'|<>"
# How much of a file is looked at before it is read.
HEAD_BYTES: Final = 1_024
CHUNK_BYTES: Final = 2**16
# What xz may take, whose files say how much they need: enough for those of ``xz -9``.
MAX_XZ_BYTES: Final = 128 * 2**20
GZIP: Final = b"\x1f\x8b"
BZIP2: Final = b"BZh"
XZ: Final = b"\xfd7zXZ\0"
# Packed in a way that Python does not unpack by itself.
REFUSED: Final = {b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf\x27\x1c": "7z"}
# A byte order mark tells; the longer ones first.
MARKS: Final = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Which of four bytes are mostly zero in a text of ASCII letters.
UNMARKED: Final[dict[tuple[bool, ...], str]] = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}

Unpacked = io.BufferedReader | gzip.GzipFile | bz2.BZ2File
Watch = Callable[[int], object]


class Readable(Protocol):
    """A file of bytes, or something like it: standard input, an upload."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


class Line(NamedTuple):
    """A line without its end, counted from 1, or the rest of one that is too long."""

    number: int
    text: str
    is_start: bool = True


def lines(file: Readable, watch: Watch = lambda _: None) -> Iterator[Line]:
    """Give the lines of a file; ``watch`` is told how many bytes more of it are read.

    Raises ``UnreadableText``, also after the first lines, and what ``file`` raises.
    """
    with _damage():
        text = _decoded(_unpacked(_Input(file, watch)))
        yield from _numbered(text)


def read_all(file: Readable, max_bytes: int) -> str | None:
    """Return the whole text of a file, its line ends as they are; None if it is too large unpacked.

    Raises ``UnreadableText``.
    """
    with _damage():
        stream = _unpacked(_Input(file))
        data = stream.read(max_bytes + 1)
        return None if len(data) > max_bytes else data.decode(_encoding(data), errors="replace")


class _Input(io.RawIOBase):
    """What is read of a file; a pipe is not waited for longer than until it has something."""

    def __init__(self, file: Readable, watch: Watch = lambda _: None) -> None:
        self.take: Callable[[int], bytes] = getattr(file, "read1", file.read)
        self.watch = watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self.take(len(view))
        self.watch(len(data))
        view[: len(data)] = data
        return len(data)


class _Xz(io.RawIOBase):
    """Unpack xz, of one stream or several, within ``MAX_XZ_BYTES``."""

    def __init__(self, file: io.BufferedReader) -> None:
        self.file = file
        self.stream = self._begun()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self._next(len(view))
        view[: len(data)] = data
        return len(data)

    def _next(self, size: int) -> bytes:
        while True:
            if self.stream.eof:
                # Streams may be padded with zeros.
                packed = self.stream.unused_data or self.file.read1(CHUNK_BYTES)
                while packed and not (packed := packed.lstrip(b"\0")):
                    packed = self.file.read1(CHUNK_BYTES)
                if not packed:
                    return b""
                self.stream = self._begun()
            else:
                packed = self.file.read1(CHUNK_BYTES) if self.stream.needs_input else b""
                if not packed and self.stream.needs_input:
                    raise EOFError
            if data := self.stream.decompress(packed, size):
                return data

    @staticmethod
    def _begun() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_BYTES)


def _unpacked(file: _Input) -> Unpacked:
    buffered: io.BufferedReader = io.BufferedReader(file, CHUNK_BYTES)
    head = buffered.peek(HEAD_BYTES)
    for magic, name in REFUSED.items():
        if head.startswith(magic):
            raise UnreadableText(f"it is packed with {name}; unpack it first")
    if head.startswith(GZIP):
        return gzip.GzipFile(fileobj=buffered)
    if head.startswith(BZIP2) and head[4:10] == b"1AY&SY":
        return bz2.BZ2File(buffered)
    if head.startswith(XZ):
        return io.BufferedReader(_Xz(buffered), CHUNK_BYTES)
    return buffered


def _decoded(stream: Unpacked) -> io.TextIOWrapper:
    # All else than these is UTF-8, or has its addresses in ASCII all the same.
    return io.TextIOWrapper(stream, _encoding(stream.peek(HEAD_BYTES)), errors="replace")


def _encoding(data: bytes) -> str:
    """Return the encoding of a text that begins so."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return encoding
    head = data[: min(HEAD_BYTES, len(data)) // 4 * 4]
    # Letters of ASCII in UTF-16 have a zero beside each, which UTF-8 has nowhere.
    zeros = [head[place::4].count(0) * 2 > len(head) // 4 for place in range(4)]
    return UNMARKED.get(tuple(zeros), "utf-8-sig")


def _numbered(text: io.TextIOWrapper) -> Iterator[Line]:
    number, rest = 1, ""
    is_start = True
    while piece := text.readline(MAX_LINE_CHARACTERS):
        piece = rest + piece
        if piece.endswith("\n"):
            yield Line(number, piece[:-1], is_start)
            number, rest, is_start = number + 1, "", True
        elif len(piece) >= MAX_LINE_CHARACTERS:
            cut = max(map(piece.rfind, SEPARATORS)) + 1 or len(piece)
            yield Line(number, piece[:cut], is_start)
            rest, is_start = piece[cut:], False
        else:
            rest = piece  # the end of the file
    if rest:
        yield Line(number, rest, is_start)


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk; those of gzip and bzip2 have no number
        raise UnreadableText("it is damaged or cut off, and cannot be unpacked") from error
