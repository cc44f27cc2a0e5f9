"""One thing that is wrong."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from django.utils.formats import number_format

from geocache.log_events import TROUBLESHOOTING

Level: TypeAlias = Literal["warning", "critical"]

# It works, and needs attention within days.
WARNING: Final = "warning"
# Answers, bans or data are at stake now.
CRITICAL: Final = "critical"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a part, how bad that is, and the page of the documents with advice."""

    part: str
    level: Level
    # What is wrong, then what to do: in plain text and one line.
    text: str
    page: str
    # What it is about where a part has many, as the name of a list.
    subject: str = ""

    @property
    def is_critical(self) -> bool:
        """Tell whether it cannot wait."""
        return self.level == CRITICAL


def warning(part: str, anchor: str, text: str, subject: str = "") -> Finding:
    """Return a finding that needs attention within days."""
    return Finding(part, WARNING, _line(text), f"{TROUBLESHOOTING}#{anchor}", subject)


def critical(part: str, anchor: str, text: str, subject: str = "") -> Finding:
    """Return a finding that cannot wait."""
    return Finding(part, CRITICAL, _line(text), f"{TROUBLESHOOTING}#{anchor}", subject)


def number(count: float) -> str:
    """Return a count as the reader's language writes it."""
    return number_format(round(count), force_grouping=True)


def _line(text: str) -> str:
    """Return a text as whole sentences in one line: an error at its end seldom has a full stop."""
    line = " ".join(text.split())
    return line if line.endswith((".", "!", "?", ")")) else f"{line}."
