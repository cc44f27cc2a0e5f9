"""The rows of a table, which may go over several lines, with the numbers of these."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from geocache.blocklists.formats.base import BadLine, Line, Remark
from geocache.exceptions import ImportFailed

# A row may have line ends in its quotes; a quote that is missing must not take the whole list.
MAX_ROW: Final = 2**16
# So many letters are read a second time, behind quotes that are missing.
MAX_READ_AGAIN: Final = 2**24


COMMENTS: Final = ("#", "//")

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is between cells, and around those that hold it themselves."""

    delimiter: str
    quote: str = '"'

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Read rows as this says; what is odd about quotes is an error."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            skipinitialspace=True,
            strict=True,
        )

    def is_comment(self, line: str) -> bool:
        """Tell whether a line is a comment."""
        text = line.lstrip()
        # A row may begin with a semicolon, but a row has other cells.
        return text.startswith(COMMENTS) or (text[:1] == ";" and self.delimiter not in text)


class NumberedRow(NamedTuple):
    """A row, and the first of its lines."""

    number: int
    text: str
    cells: Row
    is_of_several_lines: bool

    def bad(self, reason: str) -> BadLine:
        """Return it as a bad line."""
        return BadLine(self.number, self.text, reason)


def read_rows(lines: Iterator[Line], dialect: Dialect) -> Iterator[NumberedRow | BadLine | Remark]:
    """Give all rows, and all comments between them."""
    feed = _Feed(lines)
    reader = dialect.reader(feed)
    while (line := feed.peek()) is not None:
        text = line.text.strip()
        if not text or dialect.is_comment(text):
            feed.skip()
            if remark := text.lstrip("#;/ "):
                yield Remark(remark)
            continue
        feed.taken.clear()
        try:
            cells = tuple(cell.strip() for cell in next(reader))
        except csv.Error:
            # Only the first line is bad: the others are rows of their own.
            feed.put_back()
            yield BadLine(line.number, text, "has a quote or a length that is not understood")
        else:
            yield NumberedRow(line.number, text, cells, len(feed.taken) > 1)


class _Feed:
    """Lines for the reader of rows, which may be put back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._waiting: deque[Line] = deque()
        self._read_again = 0
        self._letters = 0
        # The lines of the row that is being read.
        self.taken: list[Line] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.peek()
        if line is None:
            raise StopIteration
        self._waiting.popleft()
        self.taken.append(line)
        self._letters = len(line.text) + (self._letters if len(self.taken) > 1 else 0)
        if self._letters > MAX_ROW:
            raise csv.Error
        return f"{line.text}\n"

    def peek(self) -> Line | None:
        """Return the next line; None at the end."""
        if not self._waiting:
            line = next(self._lines, None)
            if line is None:
                return None
            self._waiting.append(line)
        return self._waiting[0]

    def skip(self) -> None:
        """Pass over the next line."""
        self._waiting.popleft()

    def put_back(self) -> None:
        """Give all lines of this row again but the first; raise ``ImportFailed`` if too often."""
        self._read_again += sum(len(line.text) for line in self.taken[1:])
        if self._read_again > MAX_READ_AGAIN:
            raise ImportFailed("too many of its rows have quotes that do not match")
        self._waiting.extendleft(reversed(self.taken[1:]))
