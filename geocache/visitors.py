"""Whose request is this? The visitor's own address, also behind proxies that are trusted.

python-ipware answers another question: it looks at the header alone, never at who sent it, so that
without a proxy in between anybody can name any address.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network

from django.http import HttpRequest

from geocache import proxies
from geocache.addresses import parse_address
from geocache.exceptions import InvalidAddress

Address = IPv4Address | IPv6Address


def address_of(request: HttpRequest) -> str | None:
    """Return the address of the visitor, or None when it cannot be told.

    It is the right-most one that no trusted proxy has: what stands left of it in
    ``X-Forwarded-For`` was sent by the visitor. No other header counts, as a proxy that sets one
    hands on what the visitor wrote into another.
    """
    visitor = _parse(request.META.get("REMOTE_ADDR", ""))
    # Most requests come directly or through one proxy: the header is read only as far as it counts.
    left = request.META.get("HTTP_X_FORWARDED_FOR", "")
    while left and proxies.is_trusted(visitor):
        left, _, text = left.rpartition(",")
        hop = _parse(text)
        # A trusted proxy writes no nonsense. What it handed on is left to the last that is known.
        if hop is None:
            break
        visitor = hop
    return str(visitor) if visitor else None


def network_of(request: HttpRequest) -> str | None:
    """Return what stands for one visitor when requests are counted, or None.

    That is the IPv4 address, but the /64 of an IPv6 one: each subscriber has all of it.
    """
    address = address_of(request)
    if address is None or ":" not in address:
        return address
    return str(IPv6Network((address, 64), strict=False).network_address)


def _parse(text: str) -> Address | None:
    """Return the address in ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1``, ``[2001:db8::1]:80``.

    None when it is anything else.
    """
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return parse_address(bare)
    except InvalidAddress:
        return None
