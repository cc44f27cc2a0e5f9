"""One entry of a list: an address, or a network. Knows nothing of Django."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, summarize_address_range
from itertools import islice
from typing import Final, NamedTuple

from geocache.addresses import parse_address, parse_network, sort_key
from geocache.exceptions import InvalidAddress

# No range needs more networks than twice the length of its addresses.
MAX_NETWORKS: Final = 256

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


def parse_entries(text: str) -> list[Entry]:
    """Return what an address, a network or a range (``a-b``) stands for; networks stay networks.

    Raises ``InvalidAddress``.
    """
    if "/" in text:
        return [_from_network(parse_network(text))]
    if "-" in text:
        return [_from_network(one) for one in _range(text)]
    address = parse_address(text)
    return [Entry(sort_key(address), address.max_prefixlen, str(address))]


def is_entry(text: str) -> bool:
    """Tell whether ``text`` is an address, a network or a range."""
    try:
        parse_entries(text)
    except InvalidAddress:
        return False
    return True


def _from_network(network: Network) -> Entry:
    first, length = network.network_address, network.prefixlen
    is_single = length == network.max_prefixlen
    return Entry(sort_key(first), length, str(first if is_single else network))


def _range(text: str) -> Iterable[Network]:
    ends = text.split("-")
    try:
        first, last = map(parse_address, ends)
        return list(islice(summarize_address_range(first, last), MAX_NETWORKS))
    except (TypeError, ValueError) as error:
        raise InvalidAddress(f"{text[:80]!r} is not a range of addresses") from error
