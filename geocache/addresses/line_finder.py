"""Find the addresses in many lines of one text, such as a log, whose lines are much alike.

What was read once is remembered: the address that a line begins with, and how it ends. For a line
of an access log two thirds of the rest are then passed over, and nothing of it is parsed again.
"""

import re
from collections.abc import Iterable, Iterator
from socket import AF_INET, inet_pton
from typing import Final

from geocache.addresses.escapes import unescaped
from geocache.addresses.extraction import SHAPE, find_addresses, read_address
from geocache.addresses.versions import REACH

# Of each kind; then all are forgotten.
REMEMBERED: Final = 50_000
# A first word that is read the same whatever follows: not an escape, a comment or a network.
PLAIN: Final = re.compile(r"[0-9A-Fa-f.:]{2,45}")
# What stands in front of the last quoted field of a line: in access logs the user agent.
LAST_FIELD: Final = ' "'
MAX_END_CHARACTERS: Final = 400
# Of text before a number by which a version is told, with the digits of the number.
FAR: Final = REACH + 8


class LineFinder:
    """Finds what ``find_addresses`` does, as canonical texts."""

    def __init__(self) -> None:
        self._starts: dict[str, tuple[str, ...]] = {}
        # Whether an address may be in what follows LAST_FIELD.
        self._ends: dict[str, bool] = {}

    def find_each(self, lines: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """Give the addresses in each whole line, in their order."""
        # One call for many lines: a call for each would take a tenth of the time.
        starts, ends, has_shape = self._starts, self._ends, SHAPE.search
        for line in lines:
            word, _, rest = line.partition(" ")
            start = starts.get(word) or self._remember_start(word)
            if not start:
                yield _texts(line)
                continue
            if rest:
                body, quote, end = rest.rpartition(LAST_FIELD)
                if not quote or len(end) > MAX_END_CHARACTERS:
                    body, end = rest, ""
                may_hold = ends.get(end)
                if may_hold is None:
                    may_hold = self._remember_end(end)
                if may_hold or has_shape(body):
                    yield _texts(line)
                    continue
            yield start

    def _remember_start(self, word: str) -> tuple[str, ...]:
        if not PLAIN.fullmatch(word):
            return ()
        try:
            # Most are plain IPv4, and what this takes is canonical.
            inet_pton(AF_INET, word)
            start = (word,)
        except OSError:
            address = read_address(word)
            if not address:
                return ()
            start = (str(address),)
        if len(self._starts) >= REMEMBERED:
            self._starts.clear()
        self._starts[word] = start
        return start

    def _remember_end(self, end: str) -> bool:
        if len(self._ends) >= REMEMBERED:
            self._ends.clear()
        self._ends[end] = may_hold = _may_hold(end)
        return may_hold


def _texts(line: str) -> tuple[str, ...]:
    return tuple(map(str, find_addresses(line)))


def _may_hold(end: str) -> bool:
    """Tell whether an address may be in the end of a line, whatever stands in front of it."""
    shape = SHAPE.search(end)
    if shape is None:
        return False
    # What tells a version from an address, as in Chrome/120.0.0.0, must be in the end itself.
    is_by_itself = shape.start() >= FAR and "|" not in end and unescaped(end) == end
    return not is_by_itself or bool(find_addresses(LAST_FIELD + end, is_start=False))
