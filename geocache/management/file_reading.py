"""Read a file of addresses line by line, into chunks that are answered together."""

from typing import Final

from geocache.addresses.extraction import find_addresses
from geocache.addresses.handed_in import LineWithout, line_without
from geocache.addresses.line_finder import LineFinder
from geocache.addresses.text_files import Lines
from geocache.management.address_chunk import Chunk

# After which a chunk is answered: bounds memory, whatever the length of the file.
CHUNK_ADDRESSES: Final = 10_000
CHUNK_PROBLEMS: Final = 1_000


class FileReading:
    """One file: what was read of it and is not given yet."""

    def __init__(self) -> None:
        self._chunk = Chunk()
        self._finder = LineFinder()
        # Of a line that comes in parts.
        self._without: LineWithout | None = None
        self._has_address = False

    @property
    def is_full(self) -> bool:
        """Tell whether no more should be read before it is given."""
        chunk = self._chunk
        return len(chunk.addresses) >= CHUNK_ADDRESSES or len(chunk.problems) >= CHUNK_PROBLEMS

    def read(self, lines: Lines) -> None:
        number, texts, is_start, is_end, _ = lines
        if texts and not (is_start and is_end):
            self._read_part(number, texts[0], is_start=is_start)
            if len(texts) > 1 or is_end:
                self.end_line()
            number, texts = number + 1, texts[1:]
        addresses = self._chunk.addresses
        for at, found in enumerate(self._finder.find_each(texts)):
            if found:
                addresses += found
            elif text := texts[at]:
                self._note(line_without(number + at, text))

    def take(self) -> Chunk:
        """Return what was read since the last time."""
        chunk, self._chunk = self._chunk, Chunk()
        return chunk

    def end_line(self) -> None:
        """Note the line that came in parts, if there was one."""
        if not self._has_address:
            self._note(self._without)
        self._without, self._has_address = None, False

    def _read_part(self, number: int, text: str, *, is_start: bool) -> None:
        if found := find_addresses(text, is_start=is_start):
            self._chunk.addresses += map(str, found)
            self._has_address = True
        self._without = self._without or line_without(number, text)

    def _note(self, without: LineWithout | None) -> None:
        if without is None:
            return
        if without.is_entry:
            self._chunk.problems.append(_problem(without))
        else:
            self._chunk.other_count += 1


def _problem(line: "LineWithout") -> str:
    if line.is_network:
        return f"line {line.number}: {line.word!r} is a network; give one address of it"
    return f"line {line.number}: {line.shown!r} is not an IP address"
