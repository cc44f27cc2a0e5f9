"""Whose request is this? The visitor's own address, also behind proxies that are trusted.

A project that knows better names a callable in ``VISITOR_ADDRESS``, which then decides alone.

python-ipware answers another question: it looks at the header alone, never at who sent it, so that
without a proxy in between anybody can name any address.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.module_loading import import_string

from geocache import conf
from geocache.addresses import parse_network, special_reason
from geocache.addresses.ports import parse_host
from geocache.exceptions import InvalidAddress
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle

log = get_logger(__name__)

Address = IPv4Address | IPv6Address
# A machine of a chain; None: a proxy that asks through a Unix socket has no address.
Hop = Address | None
# What is asked for the hops of a request: those that the nearest proxy has written come first.
HopsOf = Callable[[HttpRequest], Iterator[str]]
# What a project may say about a request: an address, as text or as an object, or None.
AddressOf = Callable[[HttpRequest], object]
UNIX_SOCKET: Final = "unix"
HEADER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*")
FORWARDED: Final = "forwarded"
# Characters of an error of the project's callable that are logged.
ERROR_LENGTH: Final = 200
# ``for=192.0.2.1`` or ``for="[2001:db8::1]:4711"`` among the parameters of one proxy (RFC 7239).
FOR: Final = re.compile(r"""(?:^|;)\s*for\s*=\s*("[^"]*"|[^\s;"]*)\s*(?=;|\Z)""", re.IGNORECASE)

proxy_untrusted = LogThrottle(seconds=3600)
callable_failed = LogThrottle(seconds=3600)


def address_of(request: HttpRequest) -> str | None:
    """Return the address of the visitor, or None when it cannot be told.

    The callable in ``VISITOR_ADDRESS`` decides, if there is one.
    """
    if path := conf.get("VISITOR_ADDRESS"):
        return _told(visitor_address(path), request)
    return address_by_proxies(request)


def address_by_proxies(request: HttpRequest) -> str | None:
    """Return the address that no trusted proxy has, whatever ``VISITOR_ADDRESS`` is, or None.

    It is the right-most one: what stands left of it in the header was sent by the visitor. No other
    header than ``CLIENT_IP_HEADER`` counts, as a proxy that sets one hands on what the visitor
    wrote into another.
    """
    peer = peer_of(request)
    # Most requests come directly or through one proxy: the header is read only as far as it counts.
    if not is_trusted(peer):
        _warn_untrusted(request, peer)
        return str(peer) if peer else None
    visitor = peer
    for text in hops_of(conf.get("CLIENT_IP_HEADER"))(request):
        try:
            hop = _hop(text)
        except InvalidAddress:
            # A trusted proxy writes no nonsense. What it handed on is left to the last that is
            # known.
            break
        # A Unix socket is a step on the way, and not the address of a visitor.
        visitor = hop or visitor
        if not is_trusted(hop):
            break
    return str(visitor) if visitor else None


def proxy_of(request: HttpRequest) -> Hop:
    """Return the trusted proxy that the visitor has reached, the last one on the way from the site.

    Where the connection is from none that is trusted, it is what the connection is from.
    """
    proxy = peer_of(request)
    if not is_trusted(proxy):
        return proxy
    for text in hops_of(conf.get("CLIENT_IP_HEADER"))(request):
        try:
            hop = _hop(text)
        except InvalidAddress:
            break
        if not is_trusted(hop):
            break
        proxy = hop or proxy
    return proxy


@cache
def hops_of(setting: str) -> HopsOf:
    """Return what reads the hops of a request from a header; raise ``ImproperlyConfigured``."""
    if not HEADER_NAME.fullmatch(setting):
        elsewhere = "; a callable is named in VISITOR_ADDRESS" if "." in setting else ""
        raise ImproperlyConfigured(
            f'GEOCACHE["CLIENT_IP_HEADER"]: {setting[:40]!r} is not the name of a header, as '
            f"X-Real-IP{elsewhere}."
        )
    key = meta_key(setting)
    read = _forwarded if setting.lower() == FORWARDED else _listed
    return lambda request: read(request.META.get(key, ""))


@cache
def visitor_address(path: str) -> AddressOf:
    """Return the callable at a dotted path; raise ``ImproperlyConfigured``."""
    try:
        found = import_string(path)
    except Exception as error:
        said = " ".join(str(error).split())
        raise ImproperlyConfigured(f'GEOCACHE["VISITOR_ADDRESS"]: {said}.') from error
    if not callable(found):
        raise ImproperlyConfigured(f'GEOCACHE["VISITOR_ADDRESS"]: {path} is not callable.')
    if iscoroutinefunction(found) or iscoroutinefunction(type(found).__call__):
        raise ImproperlyConfigured(f'GEOCACHE["VISITOR_ADDRESS"]: {path} must not be async.')
    return found  # type: ignore[no-any-return]  # whatever a project names


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
    return is_named(peer, "TRUSTED_PROXIES")


def is_named(peer: Hop, setting: str) -> bool:
    """Tell whether ``peer`` is in a setting that lists networks, and perhaps ``unix``.

    Raises ``ImproperlyConfigured``.
    """
    configured = tuple(conf.get(setting))
    if peer is None:
        return UNIX_SOCKET in configured
    return any(peer in network for network in networks(configured, setting))


@cache
def networks(
    configured: Sequence[str], setting: str = "TRUSTED_PROXIES"
) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks that a setting names; raise ``ImproperlyConfigured``."""
    try:
        return tuple(parse_network(text) for text in configured if text != UNIX_SOCKET)
    except InvalidAddress as error:
        raise ImproperlyConfigured(f'GEOCACHE["{setting}"]: {error}.') from error


def is_by_untrusted_proxy(request: HttpRequest) -> bool:
    """Tell whether a request has the header of a proxy, and comes from none that is trusted.

    Its address is then most likely that of a proxy. Raises ``ImproperlyConfigured``.
    """
    return _has_header(request) and not is_trusted(peer_of(request))


def _has_header(request: HttpRequest) -> bool:
    return meta_key(conf.get("CLIENT_IP_HEADER")) in request.META


def peer_of(request: HttpRequest) -> Hop:
    """Return the machine that this request came from directly, None if it has no address."""
    try:
        return _hop(request.META.get("REMOTE_ADDR", ""))
    except InvalidAddress:
        return None


def _hop(text: str) -> Hop:
    """Return what one element of a header names; raise ``InvalidAddress``."""
    bare = text.strip().strip('"')
    # As nginx writes its variables ``$remote_addr`` and ``$proxy_add_x_forwarded_for``.
    if bare.lower().startswith(f"{UNIX_SOCKET}:"):
        return None
    return parse_host(bare)


def _listed(value: str) -> Iterator[str]:
    """Give the elements of ``9.9.9.9, 10.0.0.1`` from right to left; a single one is a list too."""
    while value:
        value, _, text = value.rpartition(",")
        yield text


def _forwarded(value: str) -> Iterator[str]:
    """Give the ``for=`` of each proxy from right to left; the empty text where it is not known."""
    end, is_quoted = len(value), False
    # From the right: quotes that a visitor did not close are to the left of what proxies add.
    for place in range(len(value) - 1, -1, -1):
        if value[place] == '"':
            is_quoted = not is_quoted
        elif value[place] == "," and not is_quoted:
            yield _only_for(value[place + 1 : end])
            end = place
    if value:
        yield _only_for(value[:end])


def _only_for(element: str) -> str:
    found = FOR.findall(element)
    return found[0] if len(found) == 1 else ""


def _told(find: AddressOf, request: HttpRequest) -> str | None:
    """Return what the project's callable says, read as an element of a header is."""
    try:
        found = find(request)
        # None, and the empty text of a header that is not there.
        visitor = _hop(str(found)) if found else None
    except Exception as error:  # noqa: BLE001 - the project's own code, at each request
        if callable_failed.is_due():
            said = f"{type(error).__name__}: {error}"
            log.error("geo_visitor_address_failed", error=said[:ERROR_LENGTH])
        return None
    return str(visitor) if visitor else None


def meta_key(name: str) -> str:
    """Return the key of ``request.META`` for a header."""
    return f"HTTP_{name.upper().replace('-', '_')}"


def _warn_untrusted(request: HttpRequest, peer: Hop) -> None:
    """Log that a header is not believed which most likely a proxy of this site has written."""
    if not _has_header(request):
        return
    is_near = peer is None or bool(special_reason(peer))
    if is_near and proxy_untrusted.is_due():
        log.warning("geo_proxy_untrusted", address=UNIX_SOCKET if peer is None else str(peer))
