"""Tables whose cells are between commas, semicolons, tabs or bars."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from geocache.blocklists.formats.base import (
    ODD_SCORE,
    BadLine,
    Element,
    Found,
    Head,
    Options,
    Source,
)
from geocache.blocklists.formats.column_names import (
    ADDRESS,
    FLAGS,
    is_exempt,
    is_exempt_list,
    plain_name,
)
from geocache.blocklists.formats.tables.columns import Columns, choose, plausible, range_columns
from geocache.blocklists.formats.tables.head import Table, find_table
from geocache.blocklists.formats.tables.rows import NumberedRow, Row, read_rows
from geocache.blocklists.formats.words import (
    addresses_only,
    comment,
    has_other,
    holds_address,
    is_exempt_value,
    score,
    without_port,
    without_scope,
)
from geocache.exceptions import ImportFailed

# By so many lines is told which columns there are.
SAMPLE_LINES: Final = 1000
SAMPLE_LETTERS: Final = 2**19
# One address or network, in a cell by itself.
SIMPLE: Final = re.compile(r"[0-9.]+(?:/[0-9.]+)?")
NO_SCORE: Final = ("", "-", "n/a", "na", "none", "null", "unknown")


class CsvTable:
    """A table, with a heading or without."""

    name = "CSV"

    def matches(self, head: Head) -> bool:
        """Tell whether there is a column of addresses that a plain list would not have."""
        table = find_table(head.lines[:SAMPLE_LINES])
        if table is None or _has_comments(table, head):
            return False
        if table.is_empty or not (held := plausible(table)):
            return table.is_empty
        if table.titles:
            return True
        if range_columns(table, held):
            return len(table.rows) > 1 or table.width > 2
        # A list of several addresses a line, or with comments behind them.
        is_quoted = any(line.lstrip()[:1] == table.dialect.quote for line in head.lines)
        return len(held) < table.width and (held != [0] or is_quoted)

    def read(self, source: Source, options: Options) -> Iterator[Found]:
        table = find_table(list(_sample(source)))
        if table is None:
            raise ImportFailed("it is not a table: no line has several cells")
        if table.dialect.delimiter == "|" and any(row[2:3] == ("ipv4",) for row in table.rows):
            raise ImportFailed("it is a registry's table of counts of addresses, not of addresses")
        reader = None if table.is_empty else _RowReader(table, choose(table, options))
        for found in read_rows(source.lines(), table.dialect):
            if not isinstance(found, NumberedRow):
                yield found
            elif not _is_head_line(found, table):
                element = reader.read(found) if reader else found.bad("is too far from the heading")
                if element is not None:
                    yield element


def _is_head_line(row: NumberedRow, table: Table) -> bool:
    # Excel is told the delimiter in a line of its own.
    return row.cells == table.titles or (row.number == 1 and row.text[:4].lower() == "sep=")


def _has_comments(table: Table, head: Head) -> bool:
    """Tell whether semicolons begin the comments of a list, and are not between cells."""
    lines = [line for line in map(str.strip, head.lines) if line]
    if lines and lines[0].startswith("; "):
        return True
    begin = [line.startswith(";") for line in lines]
    is_delimiter = table.dialect.delimiter == ";" and not table.titles
    return is_delimiter and any(begin) and not all(begin)


def _sample(source: Source) -> Iterator[str]:
    letters = 0
    for line in islice(source.lines(), SAMPLE_LINES):
        yield line.text
        letters += len(line.text)
        if letters > SAMPLE_LETTERS:
            return


class _RowReader:
    """Makes elements of the rows of a table."""

    def __init__(self, table: Table, columns: Columns) -> None:
        self._table = table
        self._columns = columns
        self._flags = [(place, name) for place, name in enumerate(table.names) if name in FLAGS]
        read = {columns.first, columns.last, columns.mask}
        self._others = [place for place in range(table.width) if place not in read]

    def read(self, row: NumberedRow) -> Element | BadLine | None:
        """Return what a row says; None for what is not to be listed."""
        cells, width = row.cells, self._table.width
        if len(cells) < width or any(cells[width:]):
            return row.bad(f"has too {'few' if len(cells) < width else 'many'} cells")
        if is_exempt((name, cells[place]) for place, name in self._flags):
            return None
        address = self._address(cells)
        problem = self._problem(row, address)
        return row.bad(problem) if problem else self._element(row, address)

    def _problem(self, row: NumberedRow, address: str) -> str:
        cells = row.cells
        if row.is_of_several_lines and any("\n" in cell and holds_address(cell) for cell in cells):
            return "has an address in a text of several lines: a quote may be missing"
        if not address:
            return "has no address"
        self._refuse_heading(row)
        others = [cells[place] for place in self._others]
        if any(map(is_exempt_value, others)):
            return "is an exception"
        # Without a heading nothing says that another address means something else.
        if not self._table.titles and any(has_other(cell, address) for cell in others):
            return "has another address in a text"
        return ""

    def _refuse_heading(self, row: NumberedRow) -> None:
        title = row.cells[self._columns.first]
        if not title[:1].isalpha() or "." in title:
            return
        name = plain_name(title)
        if name in ADDRESS or is_exempt_list(name):
            raise ImportFailed(
                f"line {row.number}: {title[:40]!r} begins another table; import each by itself"
            )

    def _address(self, cells: Row) -> str:
        columns = self._columns
        first = without_scope(cells[columns.first])
        if columns.last is not None:
            last = cells[columns.last]
            return f"{first}-{last}" if first and last else ""
        mask = cells[columns.mask].removeprefix("/") if columns.mask is not None else ""
        return f"{first}/{mask}" if first and mask and "/" not in first else first

    def _element(self, row: NumberedRow, address: str) -> Element | BadLine:
        columns, cells = self._columns, row.cells
        points = None
        if columns.score is not None:
            points = score(cells[columns.score])
            if points is None and cells[columns.score].lower() not in NO_SCORE:
                return row.bad(ODD_SCORE)
        note = comment(cells[columns.comment]) if columns.comment is not None else ""
        if SIMPLE.fullmatch(address):
            return Element(row.number, (address,), points, note)
        port = without_port(address)[1]
        notes = f"port {port} {note}".rstrip() if port else note
        return Element(row.number, addresses_only(address), points, notes)
