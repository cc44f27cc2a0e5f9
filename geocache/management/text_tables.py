"""Tables of text whose column widths are fixed by the first rows, so that they can be streamed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geocache.text import terminal_safe

GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, the widest a cell may be (0: as wide as it is), and on which side it stands."""

    heading: str
    limit: int = 0
    is_number: bool = False


class Table:
    """Lay out rows; a later cell that is wider than its column is shown whole up to its limit."""

    def __init__(self, columns: Sequence[Column], first_rows: Iterable[Sequence[str]]) -> None:
        self.columns = columns
        shown = [self._cells(row) for row in first_rows]
        headings = [column.heading for column in columns]
        self.widths = [max(map(len, cells)) for cells in zip(headings, *shown, strict=True)]

    def heading(self) -> str:
        """Return the headings and a rule below them."""
        headings = self._aligned([column.heading for column in self.columns])
        return f"{headings}\n{GAP.join('-' * width for width in self.widths)}"

    def line(self, row: Sequence[str]) -> str:
        """Return one row."""
        return self._aligned(self._cells(row))

    def _cells(self, row: Sequence[str]) -> list[str]:
        return [
            _cut(terminal_safe(text), column.limit)
            for text, column in zip(row, self.columns, strict=True)
        ]

    def _aligned(self, cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if column.is_number else cell.ljust(width)
            for cell, width, column in zip(cells, self.widths, self.columns, strict=True)
        )
        return GAP.join(padded).rstrip()


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and values in two columns; a further line of a value stands below it."""
    listed = list(rows)
    width = max(len(name) for name, _ in listed)
    indent = f"\n{' ' * width}{GAP}"
    return "\n".join(
        f"{name.ljust(width)}{GAP}{indent.join(map(terminal_safe, value.splitlines()))}".rstrip()
        for name, value in listed
    )


def _cut(text: str, limit: int) -> str:
    return text if not limit or len(text) <= limit else f"{text[: limit - 1]}…"
