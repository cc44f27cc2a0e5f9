"""IPv4 inside IPv6: what a network stands for that is written in another way.

Sources: RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
"""

from ipaddress import IPv4Network, IPv6Network
from typing import Final

# The only prefix of NAT64 that means the same everywhere. That of RFC 8215, 64:ff9b:1::/48, is for
# local use, and where in it an IPv4 address is differs from site to site.
NAT64: Final = IPv6Network("64:ff9b::/96")
SIX_TO_FOUR: Final = IPv6Network("2002::/16")
TEREDO: Final = IPv6Network("2001::/32")
# Where a Teredo address has its server, and its client with each bit turned round.
TEREDO_SERVER_BIT: Final = 32
TEREDO_CLIENT_BIT: Final = 96


def embedded_ipv4(network: IPv4Network | IPv6Network) -> list[IPv4Network]:
    """Return the IPv4 networks that an IPv6 network holds: by NAT64, 6to4 or Teredo.

    Empty for IPv4, and for what only contains such a prefix. IPv4-mapped networks are IPv4 as soon
    as ``parse_network`` has read them.
    """
    if network.version == 4:
        return []
    if network.subnet_of(NAT64):
        return [_ipv4_at(network, NAT64.prefixlen)]
    if network.subnet_of(SIX_TO_FOUR):
        return [_ipv4_at(network, SIX_TO_FOUR.prefixlen)]
    if network.subnet_of(TEREDO):
        server = _ipv4_at(network, TEREDO_SERVER_BIT)
        return [server, _ipv4_at(network, TEREDO_CLIENT_BIT, inverted=True)]
    return []


def _ipv4_at(network: IPv6Network, bit: int, *, inverted: bool = False) -> IPv4Network:
    """Return the IPv4 network of the 32 bits from ``bit`` on, as far as they are given."""
    length = min(max(network.prefixlen - bit, 0), 32)
    number = int(network.network_address) >> (96 - bit) & 0xFFFF_FFFF
    if inverted:
        number ^= 0xFFFF_FFFF
    return IPv4Network((number >> 32 - length << 32 - length, length))
