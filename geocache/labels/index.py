"""Which labels an address has, from all labelled lists together. Needs no Django.

Where the labels change, a number says which they are from there on: an answer is one search among
sorted numbers, however many lists there are and however networks hold each other.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from heapq import merge
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

from geocache.addresses import parse_address
from geocache.exceptions import InvalidAddress
from geocache.labels.ranges import Positions, Positions6, Ranges

Labels = tuple[str, ...]

# Bits for the number of a list beside a position.
LIST_BITS: Final = 16
LIST_MASK: Final = (1 << LIST_BITS) - 1
# Addresses of IPv6 that stand for one of IPv4, or may: those of NAT64.
MAPPED_BYTES: Final = bytes(10) + b"\xff\xff"
NAT64_BYTES: Final = b"\x00\x64\xff\x9b"


class Index:
    """The labels of all addresses at one moment. It never changes, so that threads may share it."""

    __slots__ = ("_four", "_four_sets", "_sets", "_six", "_six_sets")

    def __init__(self) -> None:
        self._four: array[int] = array("I")
        self._six = Positions6()
        self._four_sets: array[int] = array("H")
        self._six_sets: array[int] = array("H")
        # Each combination of labels that there is; first none.
        self._sets: list[Labels] = [()]

    @classmethod
    def of_lists(cls, lists: Iterable[tuple[str, Ranges]]) -> "Index":
        """Return the index of lists, each with its label."""
        made, given = cls(), list(lists)
        labels = [label for label, _ in given]
        numbers: dict[Labels, int] = {(): 0}
        made._four_sets = _combine([one.four for _, one in given], labels, made._four, numbers)
        made._six_sets = _combine([one.six for _, one in given], labels, made._six, numbers)
        made._sets = list(numbers)
        return made

    def __bool__(self) -> bool:
        return len(self._sets) > 1

    @property
    def byte_count(self) -> int:
        """Return how much memory the arrays take."""
        arrays = (self._four, self._six.high, self._six.low, self._four_sets, self._six_sets)
        return sum(one.itemsize * len(one) for one in arrays)

    def labels_of(self, address: str) -> Labels:
        """Return the labels of an address, sorted; none of what is not an address."""
        try:
            return self.of_number(4, int.from_bytes(inet_pton(AF_INET, address)))
        except (OSError, ValueError):
            return self._of_other(address)

    def _of_other(self, address: str) -> Labels:
        try:
            packed = inet_pton(AF_INET6, address)
            if not packed.startswith((MAPPED_BYTES, NAT64_BYTES)):
                return self.of_number(6, int.from_bytes(packed))
        except (OSError, ValueError):
            pass
        try:
            parsed = parse_address(address)
        except InvalidAddress:
            return ()
        return self.of_number(parsed.version, int(parsed))

    def of_number(self, version: int, number: int) -> Labels:
        """Return the labels of an address that is given as a number."""
        if version == 4:
            place = bisect_right(self._four, number)
            return self._sets[self._four_sets[place - 1]] if place else ()
        place = self._six.place_of(number)
        return self._sets[self._six_sets[place - 1]] if place else ()


EMPTY: Final = Index()


def _combine(
    lists: list[Positions], labels: list[str], into: Positions, numbers: dict[Labels, int]
) -> "array[int]":
    """Write to ``into`` where the labels change; return the numbers of what they are there.

    ``numbers`` has all combinations so far, and gets those that are new.
    """
    sets = array("H")
    # Which lists a position is on, as bits; and the number of their labels.
    on, known, last = 0, {0: 0}, -1
    events = (_events(number, positions) for number, positions in enumerate(lists))
    for event in merge(*events):
        on ^= 1 << (event & LIST_MASK)
        position = event >> LIST_BITS
        if on not in known:
            names = tuple(
                sorted({label for number, label in enumerate(labels) if on >> number & 1})
            )
            known[on] = numbers.setdefault(names, len(numbers))
            if len(numbers) > LIST_MASK and sets.typecode == "H":
                sets = array("I", sets)
        if position == last:
            sets[-1] = known[on]
        elif not sets or sets[-1] != known[on]:
            into.append(position)
            sets.append(known[on])
            last = position
    return sets


def _events(number: int, positions: Positions) -> Iterable[int]:
    return (position << LIST_BITS | number for position in positions)
