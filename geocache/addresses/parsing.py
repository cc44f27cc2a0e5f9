"""Parse, normalise and classify addresses and networks. Knows nothing of Django."""

from bisect import bisect_right
from ipaddress import (
    IPV6LENGTH,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_network,
)
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

from geocache.exceptions import InvalidAddress

# What stands for one address: psycopg, for example, gives interfaces and networks.
AddressLike = str | IPv4Address | IPv6Address | IPv4Network | IPv6Network

# No address or network is longer than this; more is refused before it is looked at.
MAX_TEXT_LENGTH: Final = 100

# What is never asked of a provider, and why.
# Source: IANA IPv4 and IPv6 Special-Purpose Address Registries. Written out here because the
# answers of ``ipaddress`` (``is_private``, ``is_global``) differ between Python releases.
SPECIAL_NETWORKS: Final = (
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link_local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "reserved"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("2001:2::/48", "reserved"),
    ("2001:10::/28", "reserved"),
    ("2001:20::/28", "reserved"),
    ("2001:db8::/32", "documentation"),
    ("3fff::/20", "documentation"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link_local"),
    ("ff00::/8", "multicast"),
)
# The widest network that a provider is believed about, by version: an answer for half of the
# internet would keep it from being asked ever again.
WIDEST_PREFIX_LENGTHS: Final = {4: 8, 6: 12}
# What the hexadecimal digits of an IPv4-mapped address begin with.
IPV4_MAPPED: Final = f"{0xFFFF:024x}"
# Below it the first group of an IPv6 address is zero.
IPV6_SECOND_GROUP: Final = 1 << 112
ALL_IPV4_MAPPED: Final = IPv6Network("::ffff:0:0/96")
# Addresses of translated IPv4 hosts hold theirs in the last 32 bits. Source: RFC 6052. In the
# prefix for local use (RFC 8215) an operator may choose another place, which cannot be known: such
# an address stays IPv6.
NAT64: Final = IPv6Network("64:ff9b::/96")
NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
EMBEDDED_FROM: Final = 96
# The first 96 bits, and the first 48.
_MAPPED_BITS: Final = int(ALL_IPV4_MAPPED.network_address) >> 32
_NAT64_BITS: Final = int(NAT64.network_address) >> 32
_NAT64_LOCAL_BITS: Final = int(NAT64_LOCAL.network_address) >> 80
# The only part of IPv6 from which public addresses have been given out.
GLOBAL_UNICAST_V6: Final = ip_network("2000::/3")


def _ranges(version: int) -> tuple[list[int], list[tuple[int, str]]]:
    networks = sorted(
        (ip_network(text), reason)
        for text, reason in SPECIAL_NETWORKS
        if ip_network(text).version == version
    )
    firsts = [int(network.network_address) for network, _ in networks]
    return firsts, [(int(network.broadcast_address), reason) for network, reason in networks]


_FIRSTS_4, _LASTS_4 = _ranges(4)
_FIRSTS_6, _LASTS_6 = _ranges(6)


def parse_address(value: AddressLike) -> IPv4Address | IPv6Address:
    """Return the one address that ``value`` names, without a zone; IPv4 also where it is embedded.

    That is in IPv4-mapped addresses, and in those of NAT64, as ``NAT64`` and ``NAT64_LOCAL`` say.
    White space around a text is dropped, and so is a zone (``fe80::1%eth0``) where it means
    something, on a link-local address. An interface of ``ipaddress`` is its address, a network of
    one address is that address. Bytes are refused: four of them may be packed or text (``::12``).
    Raises ``InvalidAddress``, with one line that repeats at most the first 40 characters.
    """
    try:
        address = _from_text(value) if isinstance(value, str) else _from_object(value)
        if address.version == 6 and address.scope_id is not None:
            address = _without_zone(address)
    except ValueError:
        raise InvalidAddress(f"{_shown(value)} is not an IP address") from None
    if address.version == 6 and (embedded := _embedded_ipv4(address)) is not None:
        return embedded
    return address


def normalise(value: AddressLike) -> str:
    """Return the one canonical text of an address; raise ``InvalidAddress``."""
    return str(parse_address(value))


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Return the network in CIDR notation that ``text`` names; IPv4 also where it is embedded.

    Host bits are dropped. Raises ``InvalidAddress``.
    """
    try:
        if not isinstance(text, str) or len(text) > MAX_TEXT_LENGTH or not text.isascii():
            raise ValueError
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise InvalidAddress(f"{_shown(text)} is not a network") from None
    if network.version == 4 or network.prefixlen < EMBEDDED_FROM:
        return network
    if network.prefixlen == EMBEDDED_FROM and network != ALL_IPV4_MAPPED:
        return network  # a whole prefix of NAT64 is a place in IPv6, not all of IPv4
    embedded = _embedded_ipv4(network.network_address)
    return IPv4Network((embedded, network.prefixlen - EMBEDDED_FROM)) if embedded else network


def special_reason(address: IPv4Address | IPv6Address) -> str:
    """Return why no provider is asked about ``address`` (``private`` ...), or the empty text."""
    number = int(address)
    if address.version == 4:
        return _registered(number, _FIRSTS_4, _LASTS_4)
    reason = _registered(number, _FIRSTS_6, _LASTS_6)
    return reason or ("" if address in GLOBAL_UNICAST_V6 else "reserved")


def public_text(value: AddressLike) -> str:
    """Return the canonical text of an address, or the empty one if no provider is asked about it.

    Raises ``InvalidAddress``.
    """
    try:
        # Most are plain IPv4, and what this takes is canonical: a quarter of the time.
        packed = inet_pton(AF_INET, value)  # type: ignore[arg-type]  # others are a TypeError
    except (OSError, TypeError, ValueError):
        address = parse_address(value)
        return "" if special_reason(address) else str(address)
    # What ``_registered`` does.
    number = int.from_bytes(packed)
    if number <= _LASTS_4[bisect_right(_FIRSTS_4, number) - 1][0]:
        return ""
    # Plain text, also of a class of its own, such as Django's safe text.
    return value if type(value) is str else str.__str__(value)


def sort_key(address: IPv4Address | IPv6Address) -> str:
    """Return 32 hexadecimal digits that sort as addresses do, IPv4 in its IPv4-mapped place."""
    digits = address.packed.hex()
    return f"{IPV4_MAPPED}{digits}" if address.version == 4 else digits


def normalised_and_key(text: str) -> tuple[str, str]:
    """Return the canonical text of an address and its ``sort_key``; raise ``InvalidAddress``."""
    try:
        # Most are plain IPv4, and what this takes is canonical. Seven times as fast as to parse
        # it and write it anew, of which a flush has many to do.
        packed = inet_pton(AF_INET, text)
    except (OSError, ValueError):
        address = parse_address(text)
        return str(address), sort_key(address)
    return text, f"{IPV4_MAPPED}{packed.hex()}"


def networks_around(address: IPv4Address | IPv6Address) -> list[str]:
    """Return every network around ``address`` that a provider may give out, narrowest first."""
    # Whole numbers: the networks of ``ipaddress`` take many times as long, and there are 117.
    number, size = int(address), address.max_prefixlen
    text = _text_4 if address.version == 4 else _text_6
    widest = WIDEST_PREFIX_LENGTHS[address.version]
    return [
        f"{text(number >> size - length << size - length)}/{length}"
        for length in range(size, widest - 1, -1)
    ]


def _text_4(number: int) -> str:
    return inet_ntop(AF_INET, number.to_bytes(4))


def _text_6(number: int) -> str:
    # Eight times as fast as ``ipaddress``, which does not write IPv4 at the end of one.
    is_small = number < IPV6_SECOND_GROUP
    return str(IPv6Address(number)) if is_small else inet_ntop(AF_INET6, number.to_bytes(16))


def prefix_length(network: str) -> int:
    """Return how narrow ``network`` is; the empty text stands for an address by itself."""
    return int(network.rpartition("/")[2] or IPV6LENGTH)


def _registered(number: int, firsts: list[int], lasts: list[tuple[int, str]]) -> str:
    index = bisect_right(firsts, number) - 1
    return lasts[index][1] if index >= 0 and number <= lasts[index][0] else ""


def _from_text(text: str) -> IPv4Address | IPv6Address:
    # Before it is stripped: the text as it was asked for becomes a key in the memory. A zone may
    # hold any character, so that ``ip_address`` itself takes a NUL there.
    if len(text) > MAX_TEXT_LENGTH or "\0" in text:
        raise ValueError
    # A lazy text passes for one, but not with the C function.
    text = str(text)
    try:
        # Most are plain IPv4, and ``ip_address`` takes four times as long. What this one takes is
        # canonical: no zeros in front, no spaces.
        return IPv4Address(inet_pton(AF_INET, text))
    except OSError:
        return ip_address(text.strip())


def _from_object(value: object) -> IPv4Address | IPv6Address:
    match value:
        # A subclass of an address, of which the text is not one: 192.0.2.1/24.
        case IPv4Interface() | IPv6Interface():
            return value.ip
        case IPv4Address() | IPv6Address():
            return value
        case IPv4Network() | IPv6Network() if value.prefixlen == value.max_prefixlen:
            return value.network_address
    raise ValueError


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address of the host that ``address`` stands for, or None."""
    number = int(address)
    prefix = number >> 32
    if prefix in (_MAPPED_BITS, _NAT64_BITS) or _is_local_nat64(number):
        return IPv4Address(number & 0xFFFF_FFFF)
    return None


def _is_local_nat64(number: int) -> bool:
    if number >> 80 != _NAT64_LOCAL_BITS:
        return False
    chosen = number >> 32 & 0xFFFF_FFFF_FFFF
    # Where IPv4 stands further to the left, the last 24 bits are zero; bits 64 to 71 always are.
    return chosen == 0 or (not chosen >> 24 & 0xFF and number & 0xFF_FFFF != 0)


def _without_zone(address: IPv6Address) -> IPv6Address:
    if not address.is_link_local:
        raise ValueError
    return IPv6Address(int(address))


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 40 else text[:40] + "...")
