"""The addresses that one list names, as ranges in compact arrays. Needs no Django."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

# What the ``sort_key`` of an IPv4 address begins with, and how long that is.
MAPPED: Final = f"{0xFFFF:024x}"
MAPPED_LENGTH: Final = len(MAPPED)
BITS: Final = 64
LOW: Final = (1 << BITS) - 1
END_4: Final = 1 << 32
END_6: Final = 1 << 128


class Positions(Protocol):
    """Ascending addresses as numbers."""

    def append(self, number: int, /) -> None:
        """Add one that is greater than all others."""

    def __iter__(self) -> Iterator[int]: ...

    def __len__(self) -> int: ...


class Positions6:
    """Addresses of IPv6, in 16 bytes each."""

    __slots__ = ("high", "low")

    def __init__(self) -> None:
        self.high, self.low = array("Q"), array("Q")

    def append(self, number: int) -> None:
        """Add one that is greater than all others."""
        self.high.append(number >> BITS)
        self.low.append(number & LOW)

    def __iter__(self) -> Iterator[int]:
        return (high << BITS | low for high, low in zip(self.high, self.low, strict=True))

    def __len__(self) -> int:
        return len(self.high)

    def place_of(self, number: int) -> int:
        """Return how many are not greater than ``number``."""
        high = number >> BITS
        first = bisect_left(self.high, high)
        last = bisect_right(self.high, high, first)
        return bisect_right(self.low, number & LOW, first, last)


class Ranges:
    """Disjoint ranges: positions where one begins, and the first after it, in turn.

    The last range of a version may have no end.
    """

    __slots__ = ("four", "six")

    def __init__(self) -> None:
        self.four: Positions = array("I")
        self.six: Positions = Positions6()

    @classmethod
    def of_entries(cls, entries: Iterable[tuple[str, int]]) -> "Ranges":
        """Return the ranges of entries, of which ``sort_key`` and length are given in order."""
        made = cls()
        four, six = _Union(made.four, END_4), _Union(made.six, END_6)
        for key, length in entries:
            if key.startswith(MAPPED):
                first = int(key[MAPPED_LENGTH:], 16)
                four.add(first, first + (1 << 32 - length))
            else:
                first = int(key, 16)
                six.add(first, first + (1 << 128 - length))
        four.close()
        six.close()
        return made

    def pairs(self, version: int) -> Iterator[tuple[int, int]]:
        """Give the first and last address of each range, as numbers."""
        positions = iter(self.four if version == 4 else self.six)
        limit = END_4 if version == 4 else END_6
        for first in positions:
            yield first, next(positions, limit) - 1

    def __len__(self) -> int:
        return (len(self.four) + 1) // 2 + (len(self.six) + 1) // 2


class _Union:
    """Ranges on their way into positions: what overlaps or follows one another becomes one."""

    __slots__ = ("_end", "_limit", "_positions")

    def __init__(self, positions: Positions, limit: int) -> None:
        self._positions = positions
        self._limit = limit
        # The first address after the open range.
        self._end = -1

    def add(self, first: int, end: int) -> None:
        if first > self._end:
            if self._end >= 0:
                self._positions.append(self._end)
            self._positions.append(first)
            self._end = end
        elif end > self._end:
            self._end = end

    def close(self) -> None:
        if 0 <= self._end < self._limit:
            self._positions.append(self._end)
