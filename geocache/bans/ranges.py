"""Addresses as ranges of numbers: what covers or overlaps what, whatever its form."""

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple, Self

Network = IPv4Network | IPv6Network


class Range(NamedTuple):
    """The first and the last address, as numbers."""

    version: int
    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address, a network or a range (``a-b``); raise ``ValueError``."""
        first, dash, last = text.partition("-")
        if dash:
            return cls._between(ip_address(first), ip_address(last))
        return cls.of(ip_network(text, strict=False))

    @classmethod
    def of(cls, network: Network) -> Self:
        """Return the range of a network."""
        return cls._between(network.network_address, network.broadcast_address)

    @classmethod
    def _between(cls, first: IPv4Address | IPv6Address, last: IPv4Address | IPv6Address) -> Self:
        return cls(first.version, int(first), int(last))


class Ranges:
    """Any number of ranges, put together where they touch."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        self._merged = list[Range]()
        for one in sorted(ranges):
            before = self._merged[-1] if self._merged else None
            if before and before.version == one.version and one.first <= before.last + 1:
                self._merged[-1] = before._replace(last=max(before.last, one.last))
            else:
                self._merged.append(one)
        # Apart, for the search.
        self._firsts = [(one.version, one.first) for one in self._merged]

    def __repr__(self) -> str:
        return repr(self._merged)

    def cover(self, one: Range) -> bool:
        """Tell whether all of ``one`` is inside."""
        # Of those that begin no later, only the last can reach as far.
        found = self._last_before(one.version, one.first)
        return found is not None and one.last <= found.last

    def overlap(self, one: Range) -> bool:
        """Tell whether a part of ``one`` is inside."""
        found = self._last_before(one.version, one.last)
        return found is not None and one.first <= found.last

    def _last_before(self, version: int, first: int) -> Range | None:
        at = bisect_right(self._firsts, (version, first))
        found = self._merged[at - 1] if at else None
        return found if found and found.version == version else None
