"""What every format of a list has in common: what it reads from, and what it gives.

A reader gives what a list says, as ``Element``, and what it did not understand, as ``BadLine``;
nothing else is passed over. The texts of one element stand or fall together: is one of them no
address, network or range, the whole is a bad line.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol


class Line(NamedTuple):
    """A line without its end, counted from 1."""

    number: int
    text: str


class Element(NamedTuple):
    """What one place of a list names: mostly one address, network (CIDR) or range (``a-b``)."""

    line_number: int
    texts: tuple[str, ...]
    score: float | None = None
    comment: str = ""


IS_NO_ADDRESS: Final = "is not an address"
ODD_SCORE: Final = "has a score that is not a number"


class BadLine(NamedTuple):
    """A place that was not understood: what stands there, and why it is not an entry."""

    line_number: int
    text: str
    reason: str = IS_NO_ADDRESS


class Remark(NamedTuple):
    """What the publisher says in a comment: shown when a list holds nothing else."""

    text: str


Found = Element | BadLine | Remark


class Source(Protocol):
    """The text of a list, decoded; each method begins at its start again."""

    def lines(self) -> Iterator[Line]:
        """Give its lines, whatever ends them (LF, CRLF, CR); one that is too long is cut off."""

    def chunks(self) -> Iterator[str]:
        """Give all of its text in parts of some 100,000 characters, with every line end as LF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user has said of a list; empty: what its content tells."""

    # The name of a format.
    format_name: str = ""
    # Of a table: the name or number (from 1) of the column of addresses; "start-end" for ranges.
    column: str = ""
    # Of a table: the column of scores or counts.
    score_column: str = ""
    # Of nftables and ipset: the one set that is read; "inet filter blocked" or "blocked".
    set_name: str = ""
    # An empty list is accepted.
    allow_empty: bool = False
    # What geocache itself bans with, and so never reads back: a jail, a table ("inet geocache").
    own_jail: str = ""
    own_table: str = ""


class Format(Protocol):
    """How a list is written."""

    @property
    def name(self) -> str:
        """What people call it: ``nftables``."""

    def matches(self, head: "Head") -> bool:
        """Tell whether a list that begins so is written in it."""

    def read(self, source: Source, options: Options) -> Iterable[Found]:
        """Read all of it; raise ``ImportFailed`` with a question where only a user can decide."""


@dataclass(frozen=True, slots=True)
class Head:
    """How a list begins: its first lines, as they stand there."""

    lines: tuple[str, ...]
