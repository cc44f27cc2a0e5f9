"""Which proxies are trusted to say for whom they ask."""

from collections.abc import Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from django.core.exceptions import ImproperlyConfigured

from geocache import conf
from geocache.addresses import parse_network
from geocache.exceptions import InvalidAddress

# A proxy on this machine that asks through a Unix socket has no address.
UNIX_SOCKET: Final = "unix"


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
