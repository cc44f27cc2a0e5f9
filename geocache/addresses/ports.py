"""Hosts with ports: ``192.0.2.1:80``, ``[2001:db8::1]:80``, and IPv6 without brackets."""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from geocache.addresses import parse_address
from geocache.exceptions import InvalidAddress

LARGEST_PORT: Final = 65_535
# In brackets, also as mail writes it (RFC 5321), and the port, which may be hidden (RFC 7239).
BRACKETED: Final = re.compile(r"\[(?:(?i:ipv6):)?([^\[\]]*)\](?::([0-9]{1,5}|_[\w.-]+))?", re.ASCII)


def without_port(text: str) -> str:
    """Return what stands before the last colon; the empty text if no port follows it."""
    host, _, port = text.rpartition(":")
    is_port = len(port) <= 5 and port.isascii() and port.isdecimal() and int(port) <= LARGEST_PORT
    return host if is_port or port.startswith("_") else ""


def parse_host(text: str) -> IPv4Address | IPv6Address:
    """Return the address in ``text``, with or without a port; raise ``InvalidAddress``.

    An IPv6 address needs no brackets where its port cannot be a part of it: in ``2001:db8::1:8080``
    it can, and all of that is the address.
    """
    bare = text.strip()
    if match := BRACKETED.fullmatch(bare):
        return parse_address(match[1])
    # No IPv6 address has a single colon. Errors are slow, and access logs are full of these.
    if bare.count(":") == 1 and (host := without_port(bare)):
        return parse_address(host)
    try:
        return parse_address(bare)
    except InvalidAddress:
        if host := without_port(bare):
            return parse_address(host)
        raise
