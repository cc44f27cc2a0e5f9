"""What was read of a list: counts, and what was not understood."""

from dataclasses import dataclass, field
from typing import Final

from geocache.blocklists.formats.base import BadLine
from geocache.text import strip_unprintable

SHOWN_BAD_LINES: Final = 5
SHOWN_LETTERS: Final = 80


@dataclass(slots=True)
class Report:
    """What was read: counts, and the first bad lines."""

    format_name: str = ""
    line_count: int = 0
    bad_count: int = 0
    bad_lines: list[str] = field(default_factory=list)
    entry_count: int = 0
    network_count: int = 0

    def refuse(self, bad: BadLine) -> None:
        """Count a bad line, and keep it if it is one of the first."""
        self.bad_count += 1
        if len(self.bad_lines) < SHOWN_BAD_LINES:
            shown = strip_unprintable(bad.text)[:SHOWN_LETTERS]
            self.bad_lines.append(f"line {bad.line_number}: {shown!r} {bad.reason}")
