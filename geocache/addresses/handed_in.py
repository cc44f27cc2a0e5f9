"""A text that people hand in: its addresses, and the lines that have none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from geocache.addresses.extraction import is_network
from geocache.addresses.line_finder import LineFinder

# What a page, and a request of the API, may ask for. Each line costs time, however short it is.
MAX_ADDRESSES: Final = 1_000
MAX_LINES: Final = 50_000
# Unpacked. To find addresses takes up to a second a megabyte where all is nearly an address.
MAX_BYTES: Final = 2 * 2**20
# How much text is as dear to read as an address to look up.
CHARACTERS_PER_ADDRESS: Final = 10_000
LINE_END: Final = re.compile(r"\r\n|\r|\n")
SHOWN_CHARACTERS: Final = 40
# What is not an address, and was meant as one: 1.2.3.999. A time (03:04:05) is not.
MEANT: Final = re.compile(
    r"[0-9]+(?:\.[0-9]+){3}|[0-9A-Fa-f:.]*::[0-9A-Fa-f:.]*|(?:[0-9A-Fa-f]*:){7,8}[0-9A-Fa-f.]*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class LineWithout:
    """A line, counted from 1, in which there is no address."""

    number: int
    text: str

    @property
    def word(self) -> str:
        """Return its first word."""
        return self.text.split(maxsplit=1)[0]

    @property
    def is_network(self) -> bool:
        """Tell whether it begins with a network, of which one address has to be named."""
        return is_network(self.word)

    @property
    def is_entry(self) -> bool:
        """Tell whether it stands in a list, so that an address was meant; a log has other lines."""
        word = self.word
        return word == self.text or self.is_network or MEANT.fullmatch(word) is not None

    @property
    def shown(self) -> str:
        """Return as much of it as a reader needs to find it."""
        is_long = len(self.text) > SHOWN_CHARACTERS
        return self.text[:SHOWN_CHARACTERS] + "…" if is_long else self.text


@dataclass(slots=True)
class Reading:
    """The addresses of a text, each once and in their order, and the lines without."""

    addresses: dict[str, None] = field(default_factory=dict)
    # In which an address was meant.
    bad_lines: list[LineWithout] = field(default_factory=list)
    # Lines of a log that hold no address, and need not.
    other_line_count: int = 0


def split_lines(text: str) -> list[str]:
    """Return the lines of a text, one more than ``MAX_LINES`` at most."""
    return LINE_END.split(text, MAX_LINES)


def reading_cost(text: str) -> int:
    """Return how many addresses may be looked up in the time in which ``text`` is read."""
    return 1 + len(text) // CHARACTERS_PER_ADDRESS


def read_lines(lines: Sequence[str]) -> Reading:
    """Find the addresses in lines; it ends with one more than ``MAX_ADDRESSES``."""
    reading = Reading()
    without: list[LineWithout] = []
    each = zip(lines, LineFinder().find_each(lines), strict=True)
    for number, (line, addresses) in enumerate(each, start=1):
        if addresses:
            reading.addresses.update(dict.fromkeys(addresses))
            if len(reading.addresses) > MAX_ADDRESSES:
                break
        elif one := line_without(number, line):
            without.append(one)
    # Where nothing was found, it may have been meant anywhere.
    reading.bad_lines = [one for one in without if one.is_entry] if reading.addresses else without
    reading.other_line_count = len(without) - len(reading.bad_lines)
    return reading


def line_without(number: int, text: str) -> LineWithout | None:
    """Return a line without address as one; None if it is blank or a comment."""
    said = text.partition("#")[0].strip()
    return LineWithout(number, said) if said else None
