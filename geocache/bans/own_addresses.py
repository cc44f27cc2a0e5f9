"""The addresses without which this machine is cut off: its own, its gateways', its resolvers'.

Nothing is asked over the network. What a part of the system does not tell is left out, and said.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import islice
from pathlib import Path
from typing import Final

from geocache import conf, extras
from geocache.addresses import parse_address
from geocache.exceptions import BanError, InvalidAddress, MissingExtra

Address = IPv4Address | IPv6Address

PROC: Final = Path("/proc/net")
# Behind the resolver of systemd, which is 127.0.0.53, stand the real ones in a file of its own.
RESOLVERS: Final = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


@dataclass(frozen=True, slots=True)
class OwnAddresses:
    """What was found; ``problems`` are one line each."""

    addresses: frozenset[Address]
    problems: tuple[str, ...] = ()


def read_own_addresses() -> OwnAddresses:
    """Return what this machine is reached by and reaches others by, as far as it can be told.

    Interfaces, gateways, resolvers, and the addresses that ``ALLOWED_HOSTS`` names: behind a
    translating router the public one is on no interface. Raises ``BanError`` where the library that
    knows the interfaces is missing: without it nothing is banned.
    """
    found, problems = set[Address](), list[str]()
    parts: dict[str, Callable[[], Iterator[Address]]] = {
        "its interfaces": _interfaces,
        "its gateways": _gateways,
        "its resolvers": _resolvers,
        "ALLOWED_HOSTS": _hosts,
    }
    for name, read in parts.items():
        try:
            found.update(read())
        except (OSError, ValueError, IndexError) as error:
            problems.append(f"{name} cannot be read: {error}")
    return OwnAddresses(frozenset(found), tuple(problems))


def _interfaces() -> Iterator[Address]:
    try:
        with extras.needed("bans"):
            import ifaddr  # noqa: PLC0415 - for bans alone
    except MissingExtra as error:
        raise BanError(str(error)) from error
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips:
            # Of IPv6 a tuple, with the zone.
            yield parse_address(one.ip if isinstance(one.ip, str) else one.ip[0])


def _gateways() -> Iterator[Address]:
    """Give the next hops of all routes; other systems than Linux do not say them in a file."""
    # Below a line of headings.
    for words in islice(_lines(PROC / "route"), 1, None):
        # A number in the byte order of the machine.
        yield IPv4Address(int(words[2], 16).to_bytes(4, sys.byteorder))
    for words in _lines(PROC / "ipv6_route"):
        yield IPv6Address(bytes.fromhex(words[4]))


def _resolvers() -> Iterator[Address]:
    for path in RESOLVERS:
        for words in _lines(path):
            if len(words) > 1 and words[0] == "nameserver":
                yield parse_address(words[1])


def _hosts() -> Iterator[Address]:
    for host in conf.allowed_hosts():
        with suppress(InvalidAddress):
            yield parse_address(host.strip("[]"))


def _lines(path: Path) -> Iterator[list[str]]:
    """Give the words of each line of a file; one that is not there has none."""
    try:
        with path.open(errors="replace") as file:
            yield from map(str.split, file)
    except FileNotFoundError:
        return
