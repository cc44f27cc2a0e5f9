"""One entry of a list: an address, or a network. Knows nothing of Django."""

import math
import re
from ipaddress import IPv4Network, IPv6Network, summarize_address_range
from typing import Final, NamedTuple

from geocache.addresses import normalised_and_key, parse_address, parse_network, sort_key
from geocache.exceptions import InvalidAddress

# The shortest prefix lengths, by version, behind which host bits are dropped. Behind a shorter one
# they are a typing error or a path: ``9.9.9.9/8``.
SHORTEST_WITH_HOST_BITS: Final = {4: 16, 6: 32}
# No range holds more addresses than the widest network that is given out, by version: /8 and /19.
MAX_RANGE_BITS: Final = {4: 24, 6: 109}
DASH: Final = re.compile("[-\N{EN DASH}\N{EM DASH}]")

Network = IPv4Network | IPv6Network


class Entry(NamedTuple):
    """Sorts as addresses do, a network before those inside it with the same first address."""

    # Of its first address, as ``addresses.sort_key`` makes it.
    sort_key: str
    prefix_length: int
    # Canonical: ``192.0.2.1``, or ``192.0.2.0/24``; a network of one address is that address.
    text: str
    # What the list says of it: a count or score, and a comment. No part of what it is.
    score: float | None = None
    comment: str = ""

    @property
    def is_network(self) -> bool:
        """Tell whether it stands for more than one address."""
        return "/" in self.text

    @property
    def is_plain(self) -> bool:
        """Tell whether it is stored as it stands: without a comment, with an ordinary score."""
        score = self.score
        return not self.comment and (
            score is None or (type(score) is float and math.isfinite(score))
        )


def parse_entries(text: str) -> list[Entry]:
    """Return what an address, a network or a range (``a-b``) stands for; networks stay networks.

    A network has a prefix length, a netmask or a hostmask behind its slash. Raises
    ``InvalidAddress``.
    """
    if "/" in text:
        return [_from_network(_network(text))]
    try:
        address, key = normalised_and_key(text)
    except InvalidAddress:
        if not DASH.search(text):
            raise
        return [_from_network(one) for one in _range(text)]
    return [Entry(key, 128 if ":" in address else 32, address)]


def is_entry(text: str) -> bool:
    """Tell whether ``text`` is an address, a network or a range."""
    try:
        parse_entries(text)
    except InvalidAddress:
        return False
    return True


def finite_score(score: float | None) -> float | None:
    """Return what every database keeps and sorts: no infinity, and no whole number that is one."""
    try:
        number = math.nan if score is None else float(score)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _from_network(network: Network) -> Entry:
    first, length = network.network_address, network.prefixlen
    is_single = length == network.max_prefixlen
    return Entry(sort_key(first), length, str(first if is_single else network))


def _network(text: str) -> Network:
    network = parse_network(text)
    if network.prefixlen < SHORTEST_WITH_HOST_BITS[network.version] or _holds_mapped(network):
        address = parse_address(text.partition("/")[0])
        if address != network.network_address:
            raise InvalidAddress(
                f"{text[:80]!r} has host bits behind a short prefix; write {network} if you mean it"
            )
    return network


def _holds_mapped(network: Network) -> bool:
    """Tell whether all of IPv4, as IPv4-mapped addresses, is inside a network of IPv6."""
    return network.version == 6 and network.prefixlen < 96 and not int(network.network_address)


def _range(text: str) -> list[Network]:
    """Return the networks of a range; there are at most two for each bit of an address."""
    try:
        first, last = map(parse_address, DASH.split(text))
        networks = summarize_address_range(first, last)
        size = int(last) - int(first) + 1
        if size <= 1 << MAX_RANGE_BITS[first.version]:
            return list(networks)
    except (TypeError, ValueError) as error:
        raise InvalidAddress(f"{text[:80]!r} is not a range of addresses") from error
    raise InvalidAddress(f"{text[:80]!r} is a range of too many addresses")
