"""The text of a list in a file: decoded, in lines or in chunks, without what cannot be seen.

Nothing that stands in the file is joined: an invisible character inside of a word stays there, so
that the word is a bad one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from io import IncrementalNewlineDecoder
from typing import IO, Final

from geocache.blocklists.formats.base import BadLine, Head, Line, Source
from geocache.decoding.encodings import find_encoding, line_decoder

CHUNK_BYTES: Final = 2**17
MAX_LINE_LETTERS: Final = 2**22
SHOWN_LETTERS: Final = 80
# By how much of a list its format is told.
HEAD_LINES: Final = 1_000
HEAD_LETTERS: Final = 2**18

# Zero-width spaces and joiners, marks of direction, soft hyphens, and marks of byte order between
# files that were put together.
INVISIBLE: Final = (
    "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufe0e\ufe0f\ufeff"
)
INVISIBLES: Final = re.compile(f"[{INVISIBLE}]+")
# What may stand in an address, a range, a network or a name beside one.
WORD: Final = re.compile(r"[\w.:/%-]")
# White space of other kinds, and NUL, which separates what some tools write.
SPACES: Final = re.compile("[\0\x1c-\x1f\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
# What ends a line for editors, and is white space for the grammars that read chunks.
BREAKS: Final = re.compile("[\v\f\x85\u2028\u2029]")
ODD: Final = re.compile(f"{SPACES.pattern[:-1]}{BREAKS.pattern[1:-1]}{INVISIBLE}]")


class FileSource(Source):
    """The text of a file; each method begins at its start again."""

    def __init__(
        self,
        file: IO[bytes],
        *,
        refuse: Callable[[BadLine], object] = lambda _: None,
        watch: Callable[[int], object] = lambda _: None,
    ) -> None:
        """``refuse`` is given lines that are too long, ``watch`` how far the file was read."""
        self.line_count = 0
        self._file = file
        self._refuse = refuse
        self._watch = watch

    def lines(self) -> Iterator[Line]:
        number, held = 0, ""
        for part in self._parts(line_break="\n"):
            *ended, last = part.split("\n")
            for text in ended:
                number += 1
                yield self._line(number, held + text)
                held = ""
            # What is too long need not be kept whole.
            held = (held + last)[: MAX_LINE_LETTERS + 1]
        if held:
            number += 1
            yield self._line(number, held)
        self.line_count = number

    def chunks(self) -> Iterator[str]:
        ends, last = 0, ""
        for part in filter(None, self._parts(line_break=" ")):
            ends, last = ends + part.count("\n"), part
            yield part
        self.line_count = ends + (bool(last) and not last.endswith("\n"))

    def head(self) -> Head:
        """Return its first lines; the last of them may be cut off."""
        text = ""
        for part in self._parts(line_break="\n"):
            text += part
            if len(text) >= HEAD_LETTERS:
                break
        return Head(tuple(text[:HEAD_LETTERS].split("\n", HEAD_LINES)[:HEAD_LINES]))

    def _line(self, number: int, text: str) -> Line:
        if len(text) <= MAX_LINE_LETTERS:
            return Line(number, text)
        reason = f"is longer than {MAX_LINE_LETTERS:,} letters, and was not read"
        self._refuse(BadLine(number, text[:SHOWN_LETTERS], reason))
        return Line(number, "")

    def _parts(self, *, line_break: str) -> Iterator[str]:
        """Give all of the text with LF for each line end, and spaces for odd white space."""
        self._file.seek(0)
        head = self._file.read(CHUNK_BYTES)
        encoding, mark_bytes = find_encoding(head)
        # Written by tools that end each entry with NUL.
        nul = "\n" if b"\0" in head and not re.search(rb"[\n\r]", head) else " "
        self._file.seek(mark_bytes)
        for text in _visible(self._decoded(line_decoder(encoding))):
            if ODD.search(text):
                spaced = SPACES.sub(" ", text.replace("\0", nul))
                yield BREAKS.sub(line_break, spaced)
            else:
                yield text

    def _decoded(self, decoder: IncrementalNewlineDecoder) -> Iterator[str]:
        while raw := self._file.read(CHUNK_BYTES):
            yield decoder.decode(raw)
            self._watch(self._file.tell())
        yield decoder.decode(b"", final=True)


def _visible(parts: Iterable[str]) -> Iterator[str]:
    """Remove invisible characters, but one of those between two letters of a word."""
    before = held = ""
    for part in parts:
        text = held + part
        body = text if text.isascii() else text.rstrip(INVISIBLE)
        # One stands for a run of them, whose other neighbour is still to come.
        held = text[len(body) :][:1]
        if not body.isascii():
            body = INVISIBLES.sub(_seen, before + body)[len(before) :]
        yield body
        before = body[-1:] or before


def _seen(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    is_inside = start and WORD.match(text, start - 1) and WORD.match(text, end)
    return match[0][0] if is_inside else ""
