"""The lines of a file, however it is packed, encoded and ended; memory stays flat.

gzip, bzip2 and xz; UTF-8, UTF-16 and UTF-32, with a byte order mark or without; LF, CRLF and CR.
(What is a list has a reader of its own: ``blocklists.text_source``.)
"""

from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from geocache.decoding.compression import CHUNK_BYTES, unpacked
from geocache.decoding.encodings import ERRORS, find_encoding, line_decoder

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# A longer line comes in several parts.
MAX_LINE_CHARACTERS: Final = 65_536
# Where a long line may be cut: no address has these inside.
SEPARATORS: Final = " \t,;\"'|<>"
Watch = Callable[[int], object]


class Readable(Protocol):
    """A file of bytes, or something like it: standard input, an upload."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


class Lines(NamedTuple):
    """Lines one after the other, without their ends, of which the first has a number, from 1."""

    number: int
    texts: list[str]
    # False: the first is the rest of one that is too long.
    is_start: bool = True
    # False: the last is too long, and its rest follows.
    is_end: bool = True
    # More may be waited for.
    is_all: bool = False


def lines(file: Readable, watch: Watch = lambda _: None) -> Iterator[Lines]:
    """Give the lines of a file; ``watch`` is told how many bytes more of it are read.

    Raises ``UnreadableText``, also after the first lines, and what ``file`` raises.
    """
    return _numbered(_decoded(unpacked(BufferedReader(_Input(file, watch)))))


def read_all(file: Readable, max_bytes: int) -> str | None:
    """Return the whole text of a file, its line ends as they are; None if it is too large unpacked.

    Raises ``UnreadableText``.
    """
    chunks, byte_count = [], 0
    for chunk in unpacked(BufferedReader(_Input(file))):
        chunks.append(chunk)
        byte_count += len(chunk)
        if byte_count > max_bytes:
            return None
    data = b"".join(chunks)
    encoding, mark_bytes = find_encoding(data)
    return data[mark_bytes:].decode(encoding, ERRORS)


def _decoded(chunks: Iterator[bytes]) -> Iterator[tuple[str, bool]]:
    """Give each part of a text, and whether it is all that was there to read."""
    first = next(chunks, b"")
    encoding, mark_bytes = find_encoding(first)
    decoder = line_decoder(encoding)
    yield decoder.decode(first[mark_bytes:]), len(first) < CHUNK_BYTES
    for chunk in chunks:
        yield decoder.decode(chunk), len(chunk) < CHUNK_BYTES
    yield decoder.decode(b"", final=True), True


class _Input(RawIOBase):
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


def _numbered(parts: Iterable[tuple[str, bool]]) -> Iterator[Lines]:
    number, held, is_start = 1, "", True
    for part, is_all in parts:
        ended = (held + part).split("\n")
        held = ended.pop()
        if ended or is_all:
            yield Lines(number, ended, is_start, is_all=is_all)
        if ended:
            number, is_start = number + len(ended), True
        if len(held) >= MAX_LINE_CHARACTERS:
            cut = max(map(held.rfind, SEPARATORS)) + 1 or len(held)
            yield Lines(number, [held[:cut]], is_start, is_end=False)
            held, is_start = held[cut:], False
    if held:
        yield Lines(number, [held], is_start, is_all=True)
