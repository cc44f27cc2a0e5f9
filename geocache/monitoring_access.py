"""Who sees the details of the state: what monitoring reads, and what strangers must not.

A program has a token or comes from a known address; a person has the permission of the pages.
"""

import secrets
from collections.abc import Sequence
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from geocache import client_ip, conf, permissions
from geocache.addresses import parse_network
from geocache.addresses.ports import parse_host
from geocache.exceptions import InvalidAddress

SCHEME: Final = "bearer"


def may_see_details(request: HttpRequest) -> bool:
    """Tell whether a request is answered in full: by its token, its address or its user.

    Only the last reads anything: a session, and the permissions of its user.
    """
    return is_from_monitoring(request) or has_permission(request)


def is_from_monitoring(request: HttpRequest) -> bool:
    """Tell whether a request has the token, or comes from one of the addresses. Reads nothing."""
    return has_token(request) or has_address(request)


def has_permission(request: HttpRequest) -> bool:
    """Tell whether the user of a request may see addresses: only they see the state."""
    return not permissions.missing(permissions.user_of(request), permissions.VIEW_ADDRESSES)


def has_token(request: HttpRequest) -> bool:
    """Tell whether a request has ``Authorization: Bearer`` with the text of ``METRICS_TOKEN``."""
    expected = conf.get("METRICS_TOKEN")
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if not expected or scheme.lower() != SCHEME:
        return False
    # A server reads the bytes of a header as latin-1; a token may hold other letters.
    sent = token.strip().encode("latin-1", "replace")
    return secrets.compare_digest(sent, expected.encode())


def has_address(request: HttpRequest) -> bool:
    """Tell whether a request comes from one of ``METRICS_ADDRESSES``.

    The address of a proxy that is not trusted is not that of the visitor: it never counts.
    """
    if not (wanted := networks(tuple(conf.get("METRICS_ADDRESSES")))):
        return False
    if not conf.get("VISITOR_ADDRESS") and client_ip.is_by_untrusted_proxy(request):
        return False
    address = client_ip.address_of(request)
    if address is None:
        return False
    visitor = parse_host(address)
    return any(visitor in network for network in wanted)


@cache
def networks(configured: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of ``METRICS_ADDRESSES``; raise ``ImproperlyConfigured``."""
    try:
        return tuple(parse_network(text) for text in configured)
    except InvalidAddress as error:
        raise ImproperlyConfigured(f'GEOCACHE["METRICS_ADDRESSES"]: {error}.') from error
