"""What the network in front of the site says about the visitor of a request, if it is believed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from geocache import client_ip, conf
from geocache.addresses import special_reason
from geocache.country_groups import completed
from geocache.edge.filling import filled
from geocache.edge.networks import Network, network_of
from geocache.edge.values import fields_of
from geocache.location import NOT_FOUND, UNAVAILABLE, Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle

log = get_logger(__name__)

# The database is asked, and what it does not know is taken from the headers.
MERGE: Final = "merge"
# The headers alone answer.
ONLY: Final = "only"
MODES: Final = (MERGE, ONLY)

edge_untrusted = LogThrottle(seconds=3600)


@dataclass(frozen=True, slots=True)
class Said:
    """What headers say of one visitor; ``fields`` are those of ``Location``, perhaps none."""

    address: str
    label: str
    is_alone: bool
    # False where the request did not come through a proxy that is believed.
    is_believed: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict)

    def alone(self) -> Location:
        """Return the answer of the headers, for which nothing else was asked."""
        at = datetime.now(UTC)
        if self.fields:
            known = completed(self.fields)
            return Location(address=self.address, resolved_at=at, source=self.label, **known)
        reason = NOT_FOUND if self.is_believed else UNAVAILABLE
        if self.address:
            reason = special_reason(ip_address(self.address)) or reason
        return Location(address=self.address, resolved_at=at, reason=reason)

    def merged(self, found: Location) -> Location:
        """Return the answer of the database, completed; ``found`` itself if nothing is new."""
        return filled(found, completed(self.fields), self.label)


def said_of(request: HttpRequest, address: str | None) -> Said | None:
    """Return what headers say of the visitor at ``address``; None where none are to be read.

    Raises ``ImproperlyConfigured``.
    """
    setting = conf.get("EDGE_HEADERS")
    if not setting:
        return None
    network, is_alone = network_of(setting), mode() == ONLY
    said = Said(address or "", network.label, is_alone)
    peer = client_ip.peer_of(request)
    if not client_ip.is_trusted(peer) or is_everybody_trusted():
        _warn_untrusted(request, network, peer)
        return Said(said.address, said.label, is_alone, is_believed=False)
    if not _is_by_edge(request):
        return Said(said.address, said.label, is_alone, is_believed=False)
    if address and not _is_of_visitor(address):
        return said
    fields = fields_of(network, lambda name: _header(request, network.headers[name]))
    return Said(said.address, said.label, is_alone, fields=fields)


def _is_by_edge(request: HttpRequest) -> bool:
    """Tell whether the visitor came through one of ``EDGE_PROXIES``, if there are any.

    Another trusted proxy, such as nginx before the site, hands on what visitors write who reach it
    directly.
    """
    if not conf.get("EDGE_PROXIES"):
        return True
    return client_ip.is_named(client_ip.proxy_of(request), "EDGE_PROXIES")


def mode() -> str:
    """Return ``EDGE_MODE``; raise ``ImproperlyConfigured`` when it is none of ``MODES``."""
    found = conf.get("EDGE_MODE")
    if found not in MODES:
        known = " or ".join(map(repr, MODES))
        raise ImproperlyConfigured(f'GEOCACHE["EDGE_MODE"] is {found!r}; it has to be {known}.')
    return str(found)


def is_everybody_trusted() -> bool:
    """Tell whether ``TRUSTED_PROXIES`` holds all of IPv4 or IPv6, so that anyone is believed.

    Raises ``ImproperlyConfigured``.
    """
    return _holds_all(tuple(conf.get("TRUSTED_PROXIES")))


def untrusted_edges() -> list[str]:
    """Return which of ``EDGE_PROXIES`` are not in ``TRUSTED_PROXIES``, so that they never count.

    Raises ``ImproperlyConfigured``.
    """
    trusted = tuple(conf.get("TRUSTED_PROXIES"))
    if not trusted:
        # No header is read at all, and ``check`` says so.
        return []
    known = client_ip.networks(trusted)
    return [
        name
        for name in conf.get("EDGE_PROXIES")
        if name not in trusted
        and not any(_is_inside(one, known) for one in client_ip.networks((name,), "EDGE_PROXIES"))
    ]


def _is_inside(
    network: IPv4Network | IPv6Network, known: tuple[IPv4Network | IPv6Network, ...]
) -> bool:
    first, last = network.network_address, network.broadcast_address
    return any(first in one and last in one for one in known)


def describe() -> str:
    """Return what counts in a few words, the empty text where no header is read.

    Raises ``ImproperlyConfigured``.
    """
    setting = conf.get("EDGE_HEADERS")
    if not setting:
        return ""
    label, how = network_of(setting).label, mode()
    if not conf.get("TRUSTED_PROXIES"):
        return f"{label}: not read, as TRUSTED_PROXIES is empty"
    if is_everybody_trusted():
        return f"{label}: not read, as TRUSTED_PROXIES holds all addresses"
    return f"{label}, alone" if how == ONLY else f"{label}, where the databases know nothing"


@cache
def _holds_all(configured: tuple[str, ...]) -> bool:
    networks = client_ip.networks(configured)
    fourth = collapse_addresses(one for one in networks if isinstance(one, IPv4Network))
    sixth = collapse_addresses(one for one in networks if isinstance(one, IPv6Network))
    return 0 in [*(one.prefixlen for one in fourth), *(one.prefixlen for one in sixth)]


def _is_of_visitor(address: str) -> bool:
    """Tell whether an address may be the one that the headers are about.

    It is not, if it belongs to a proxy that did not say whose request it is, or is not public.
    """
    parsed = ip_address(address)
    return not client_ip.is_trusted(parsed) and not special_reason(parsed)


def _header(request: HttpRequest, name: str) -> Any:
    return request.META.get(client_ip.meta_key(name))


def _warn_untrusted(request: HttpRequest, network: Network, peer: client_ip.Hop) -> None:
    """Log that headers are not read which most likely a proxy of this site has handed on."""
    is_near = peer is None or bool(special_reason(peer))
    if not is_near or not any(_header(request, name) for name in network.headers.values()):
        return
    if edge_untrusted.is_due():
        log.warning(
            "geo_edge_untrusted",
            address=client_ip.UNIX_SOCKET if peer is None else str(peer),
            source=network.label,
        )
