"""Whose request is this? The visitor's own address, also behind proxies that are trusted.

python-ipware answers another question: it looks at the header alone, never at who sent it, so that
without a proxy in between anybody can name any address.
"""

from collections.abc import Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from geocache import conf
from geocache.addresses import parse_address, parse_network, special_reason
from geocache.exceptions import InvalidAddress
from geocache.log_throttle import LogThrottle

log = structlog.get_logger(__name__)

Address = IPv4Address | IPv6Address
# A proxy on this machine that asks through a Unix socket has no address.
UNIX_SOCKET: Final = "unix"

proxy_untrusted = LogThrottle(seconds=3600)


def address_of(request: HttpRequest) -> str | None:
    """Return the address of the visitor, or None when it cannot be told.

    It is the right-most one that no trusted proxy has: what stands left of it in
    ``X-Forwarded-For`` was sent by the visitor. No other header counts, as a proxy that sets one
    hands on what the visitor wrote into another.
    """
    visitor = peer = _parse(request.META.get("REMOTE_ADDR", ""))
    # Most requests come directly or through one proxy: the header is read only as far as it counts.
    left = request.META.get("HTTP_X_FORWARDED_FOR", "")
    while left and is_trusted(visitor):
        left, _, text = left.rpartition(",")
        hop = _parse(text)
        # A trusted proxy writes no nonsense. What it handed on is left to the last that is known.
        if hop is None:
            break
        visitor = hop
    if left and visitor is peer:
        _warn_untrusted(peer)
    return str(visitor) if visitor else None


def network_of(request: HttpRequest) -> str | None:
    """Return what stands for one visitor when requests are counted, or None.

    That is the IPv4 address, but the /64 of an IPv6 one: each subscriber has all of it.
    """
    address = address_of(request)
    if address is None or ":" not in address:
        return address
    return str(IPv6Network((address, 64), strict=False).network_address)


def is_trusted(peer: IPv4Address | IPv6Address | None) -> bool:
    """Tell whether ``peer`` (None: no address, a Unix socket) is one of ``TRUSTED_PROXIES``.

    Raises ``ImproperlyConfigured``.
    """
    configured = tuple(conf.get("TRUSTED_PROXIES"))
    if peer is None:
        return UNIX_SOCKET in configured
    return any(peer in network for network in networks(configured))


@cache
def networks(configured: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks that a setting names; raise ``ImproperlyConfigured``."""
    try:
        return tuple(parse_network(text) for text in configured if text != UNIX_SOCKET)
    except InvalidAddress as error:
        raise ImproperlyConfigured(f'GEOCACHE["TRUSTED_PROXIES"]: {error}.') from error


def _warn_untrusted(peer: Address | None) -> None:
    """Log that a header is not believed which most likely a proxy of this site has written."""
    is_near = peer is None or bool(special_reason(peer))
    if is_near and not is_trusted(peer) and proxy_untrusted.is_due():
        log.warning(
            "geo_proxy_untrusted",
            peer=UNIX_SOCKET if peer is None else str(peer),
            effect="all visitors behind it are taken for one",
            hint="name it in TRUSTED_PROXIES if it is a proxy of this site",
        )


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
