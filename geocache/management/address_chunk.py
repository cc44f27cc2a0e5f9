"""Addresses of a file, or of arguments, that are answered together."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Chunk:
    """What some lines hold: normalised addresses in their order, one as often as it is there."""

    addresses: list[str] = field(default_factory=list)
    # Of lines in which an address was meant; each names its line.
    problems: list[str] = field(default_factory=list)
    # Of a log many lines have no address, and need not: they are counted only.
    other_count: int = 0
