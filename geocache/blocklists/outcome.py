"""What an import did, and how far it is."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from geocache.blocklists.content import Watch

APPLIED: Final = "applied"
UNCHANGED: Final = "unchanged"
COMPARED: Final = "compared"
WARMED: Final = "warmed"


@dataclass(slots=True)
class Outcome:
    """What became of one import; counts are of entries, addresses and networks alike."""

    name: str
    status: str
    sha256: str
    format_name: str = ""
    line_count: int = 0
    bad_count: int = 0
    bad_lines: list[str] = field(default_factory=list)
    entry_count: int = 0
    network_count: int = 0
    appeared_count: int = 0
    left_count: int = 0
    banned_count: int = 0
    unbanned_count: int = 0
    seconds: float = 0.0

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Who is told how far an import is, and who may end it."""

    # Bytes that were read.
    read: Watch = lambda _: None
    # Entries that were compared with the table, after ``total`` has said how many there are.
    compared: Watch = lambda _: None
    total: Watch = lambda _: None
    is_stopped: Callable[[], bool] = lambda: False
