"""What an import did, and how far it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from geocache.bans.protection import Reason
from geocache.blocklists.entries import Watch

APPLIED: Final = "applied"
UNCHANGED: Final = "unchanged"
COMPARED: Final = "compared"
WARMED: Final = "warmed"


# JSON keeps the words that its readers know.
JSON_NAMES: Final = {"added_count": "appeared_count", "removed_count": "left_count"}


class Outcome(msgspec.Struct, rename=JSON_NAMES):
    """What became of one import; counts are of entries, addresses and networks alike."""

    name: str
    status: str
    sha256: str
    format_name: str = ""
    line_count: int = 0
    bad_count: int = 0
    bad_lines: list[str] = []
    entry_count: int = 0
    network_count: int = 0
    added_count: int = 0
    removed_count: int = 0
    # Entries that stayed, with another score or comment.
    changed_count: int = 0
    banned_count: int = 0
    unbanned_count: int = 0
    # Of the entries of all lists that are never banned, by the reason.
    skipped_counts: dict[Reason, int] = {}
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress callbacks and cancellation."""

    # Bytes that were read.
    read: Watch = lambda _: None
    # Entries that were compared with the table, after ``total`` has said how many there are.
    compared: Watch = lambda _: None
    total: Watch = lambda _: None
    is_stopped: Callable[[], bool] = lambda: False
