"""A table by its first rows: what is between its cells, how wide it is, and its heading."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from geocache.addresses.blocks import is_entry
from geocache.blocklists.formats.base import Line
from geocache.blocklists.formats.column_names import ADDRESS, RANGES, plain_name
from geocache.blocklists.formats.tables.rows import Dialect, NumberedRow, Row, read_rows
from geocache.blocklists.formats.words import addresses_only, without_scope

DELIMITERS: Final = (",", ";", "\t", "|")
QUOTES: Final = ('"', "'")
MAX_TITLE: Final = 80
NAMES: Final = ADDRESS | RANGES.keys()


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its first rows."""

    dialect: Dialect
    width: int
    # As they stand there; empty if there is no heading.
    titles: Row
    rows: tuple[Row, ...]
    # It has a heading with a name of addresses, and no other row of any width.
    is_empty: bool = False

    @property
    def names(self) -> Row:
        """What its columns are called, without spaces and in small letters; of each column one."""
        return tuple(map(plain_name, self.titles)) or ("",) * self.width

    def address_count(self, column: int) -> int:
        """Count the rows that have an address in this column."""
        return sum(map(is_address, self.column(column)))

    def column(self, column: int) -> list[str]:
        """Return the cells of a column."""
        return [row[column] for row in self.rows]


def is_address(cell: str) -> bool:
    """Tell whether there are addresses in a cell, and nothing else."""
    # What is between cells of another dialect is not inside of one.
    is_cell = cell and "\t" not in cell
    return bool(is_cell) and all(map(is_entry, addresses_only(without_scope(cell))))


def find_table(lines: Sequence[str]) -> Table | None:
    """Return the table that begins with these lines; None if they are none."""
    delimiters: Sequence[str] = DELIMITERS
    meant = [line.strip() for line in lines if line.strip()]
    if meant and meant[0].lower().startswith("sep=") and len(meant[0]) == 5:
        told, lines = meant[0][4], lines[1:]
        # Python 3.13 refuses what is around cells as what is between them.
        delimiters = DELIMITERS if told in QUOTES else (told,)
    dialects = [Dialect(one, _quote(meant, one)) for one in delimiters]
    tables = [_table(one, lines) for one in dialects]
    # The first of equals.
    return max((one for one in tables if one), key=_likelihood, default=None)


def _quote(lines: Sequence[str], delimiter: str) -> str:
    """Return what is around cells: an apostrophe only where it is around a first or last one."""
    end = re.escape(delimiter)
    quoted = re.compile(rf"^'[^']*+'[ ]*+(?:{end}|$)|{end}[ ]*+'[^']*+'$")
    if any('"' in line for line in lines) or not any(map(quoted.search, lines)):
        return '"'
    return "'"


def _likelihood(table: Table) -> tuple[int, int, int]:
    most = max(map(table.address_count, range(table.width)))
    return most, len(table.rows), table.width


def _table(dialect: Dialect, lines: Sequence[str]) -> Table | None:
    rows = list(_rows(dialect, lines))
    widths = Counter(map(len, rows))
    if not widths:
        return None
    # The widest of those that are as many.
    width = max(widths, key=lambda one: (widths[one], one))
    whole = [row for row in rows if len(row) == width]
    titles = whole[0] if _is_heading(whole[0]) else _commented_heading(dialect, lines, width)
    if width == 1 and plain_name("".join(titles)) not in ADDRESS:
        return None
    others = tuple(row for row in whole if row != titles)
    is_empty = len(rows) == 1 and not others and not NAMES.isdisjoint(map(plain_name, titles))
    return Table(dialect, width, titles, others, is_empty)


def _rows(dialect: Dialect, lines: Iterable[str]) -> Iterator[Row]:
    numbered = (Line(number, text) for number, text in enumerate(lines, 1))
    for found in read_rows(numbered, dialect):
        if isinstance(found, NumberedRow):
            yield found.cells


def _commented_heading(dialect: Dialect, lines: Sequence[str], width: int) -> Row:
    """Return the heading that is the last of the comments in front, as in lists of abuse.ch."""
    comments = list(takewhile(lambda line: not line.strip() or dialect.is_comment(line), lines))
    meant = [text for line in comments if (text := line.strip().lstrip("#/; "))]
    cells = next(_rows(dialect, meant[-1:]), ())
    return cells if len(cells) == width and _is_heading(cells) else ()


def _is_heading(cells: Row) -> bool:
    return any(cells) and all(not cell or _is_title(cell) for cell in cells)


def _is_title(cell: str) -> bool:
    is_word = len(cell) <= MAX_TITLE and (cell[0].isalpha() or cell[0] == "_")
    return is_word and not is_address(cell)
