"""The lines of a file, however it is packed, encoded and ended; memory stays flat.

gzip, bzip2 and xz; UTF-8, UTF-16 and UTF-32, with a byte order mark or without; LF, CRLF and CR.
(What is a list has a reader of its own: ``blocklists.text_source``.)
"""

from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from geocache.decoding.compression import unpacked
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


class Line(NamedTuple):
    """A line without its end, counted from 1, or the rest of one that is too long."""

    number: int
    text: str
    is_start: bool = True


def lines(file: Readable, watch: Watch = lambda _: None) -> Iterator[Line]:
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


def _decoded(chunks: Iterator[bytes]) -> Iterator[str]:
    first = next(chunks, b"")
    encoding, mark_bytes = find_encoding(first)
    decoder = line_decoder(encoding)
    yield decoder.decode(first[mark_bytes:])
    yield from map(decoder.decode, chunks)
    yield decoder.decode(b"", final=True)


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


def _numbered(parts: Iterable[str]) -> Iterator[Line]:
    number, held, is_start = 1, "", True
    for part in parts:
        *ended, last = part.split("\n")
        for text in ended:
            yield Line(number, held + text, is_start)
            number, held, is_start = number + 1, "", True
        held += last
        if len(held) >= MAX_LINE_CHARACTERS:
            cut = max(map(held.rfind, SEPARATORS)) + 1 or len(held)
            yield Line(number, held[:cut], is_start)
            held, is_start = held[cut:], False
    if held:
        yield Line(number, held, is_start)
