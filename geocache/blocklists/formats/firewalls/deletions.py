"""What is deleted out of a set, network by network."""

from bisect import bisect_left
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final

from geocache.addresses.blocks import is_entry, parse_entries

# Of the deletions inside one network, so many are looked at.
MAX_INSIDE: Final = 100


class Deletions:
    """What is deleted out of one set, and when last.

    ``is_exact``: each network is an element of its own, and stays when one around it is deleted.
    """

    def __init__(self, *, is_exact: bool) -> None:
        self._is_exact = is_exact
        self._last = -1
        self._networks: dict[tuple[int, int, int], int] = {}
        # By version: the first address, and when.
        self._firsts: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        self._is_sorted = True

    def add(self, text: str, position: int) -> None:
        for version, first, length, bits in _networks(text):
            self._networks[version, first >> (bits - length), length] = position
            self._firsts[version].append((first, position))
            self._last, self._is_sorted = position, False

    def left(self, text: str, position: int) -> str:
        """Tell whether "all", "part" or "none" of what was added at ``position`` is left."""
        if self._last < position or not is_entry(text):
            return "all"
        if not self._is_sorted:
            for firsts in self._firsts.values():
                firsts.sort()
            self._is_sorted = True
        networks = list(_networks(text))
        gone = [self._covers(one, position) for one in networks]
        if all(gone):
            return "none"
        if any(gone) or any(self._begins_inside(one, position) for one in networks):
            return "part"
        return "all"

    def _covers(self, network: tuple[int, int, int, int], position: int) -> bool:
        version, first, length, bits = network
        lengths = [length] if self._is_exact else range(length + 1)
        return any(
            self._networks.get((version, first >> (bits - one), one), -1) > position
            for one in lengths
        )

    def _begins_inside(self, network: tuple[int, int, int, int], position: int) -> bool:
        """Tell whether a part is deleted: networks are inside each other or apart."""
        if self._is_exact:
            return False
        version, first, length, bits = network
        firsts = self._firsts[version]
        start = bisect_left(firsts, (first, -1))
        end = bisect_left(firsts, (first + (1 << (bits - length)), -1))
        # Where very many are deleted inside, the last of them is hardly an earlier one.
        return end - start > MAX_INSIDE or any(later > position for _, later in firsts[start:end])


def _networks(text: str) -> Iterator[tuple[int, int, int, int]]:
    """Give version, first address, length and bits of what an address or range consists of."""
    if is_entry(text):
        for entry in parse_entries(text):
            network = ip_network(entry.text)
            first = int(network.network_address)
            yield network.version, first, network.prefixlen, network.max_prefixlen
