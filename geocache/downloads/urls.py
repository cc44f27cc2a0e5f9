"""Where a URL leads, as the library that connects reads it; refused where readers differ."""

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final
from urllib.parse import urlsplit

from geocache import extras
from geocache.addresses import parse_address, special_reason
from geocache.exceptions import InvalidAddress, MissingExtra, UpdateError

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
PORTS: Final = {"https": 443, "http": 80}
# Addresses of IPv6 that stand for one of IPv4, in their last 32 bits (RFC 6052). A network without
# IPv4 reaches every server of IPv4 by them.
NAT64: Final = ip_network("64:ff9b::/96")
# Others are 6to4 and Teredo, by which no server offers files.
TUNNELS: Final = (ip_network("2002::/16"), ip_network("2001::/32"))


@dataclass(frozen=True, slots=True)
class Place:
    """A URL as it is sent, and the host and port that are connected to for it."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> tuple[str, str, int]:
        """Return what an account belongs to."""
        return self.scheme, self.host, self.port


class Allowed:
    """What may be asked although its addresses are inside this network: hosts, and networks."""

    def __init__(self, places: Iterable[str] = ()) -> None:
        """Read names of hosts, which also mean what is below them, and networks."""
        self.hosts: list[str] = []
        self.networks: list[IPv4Network | IPv6Network] = []
        for place in places:
            try:
                self.networks.append(ip_network(place, strict=False))
            except ValueError:
                self.hosts.append(place.lower())

    def has(self, host: str, address: str) -> bool:
        """Tell whether ``host``, which has this address, is one of them."""
        if is_host_of(host.lower(), self.hosts):
            return True
        try:
            parsed = _embedded(parse_address(address))
        except InvalidAddress:
            return False
        return any(parsed in network for network in self.networks)


NOTHING_ALLOWED: Final = Allowed()


def is_host_of(host: str, names: Iterable[str]) -> bool:
    """Tell whether a host is one of ``names``, or below one."""
    return any(host == name or host.endswith(f".{name}") for name in names)


def is_plain(text: str) -> bool:
    """Tell whether a text is without what readers of URLs leave out, or take for a slash."""
    return text.isprintable() and " " not in text and "\\" not in text


def read_url(text: str) -> Place:
    """Return where ``text`` leads; raise ``UpdateError`` for all but plain ``https://host/...``.

    ``http://`` is accepted for this machine only.
    """
    with extras.needed("web"):
        import requests  # noqa: PLC0415 - files are read without it
        import urllib3  # noqa: PLC0415 - as above
    if not is_plain(text):
        raise UpdateError("a URL with a space, a backslash or a control character is not asked")
    try:
        given = urllib3.util.parse_url(text)
        if given.scheme not in PORTS:
            raise UpdateError(f"{given.host or 'a URL'} is not asked: only https:// is safe")
        # As it is sent; requests reads it once more, by urlsplit, to connect.
        sent = requests.Request("GET", text).prepare().url or ""
        read, connected = urllib3.util.parse_url(sent), urlsplit(sent)
        host, port = (connected.hostname or "").lower(), connected.port
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise UpdateError("what should be a URL is not one") from error
    if given.auth is not None or "@" in connected.netloc:
        raise UpdateError(f"a URL of {host} holds a user name, which is not sent; remove it")
    is_same = (read.scheme, (read.host or "").strip("[]").lower(), read.port) == (
        connected.scheme,
        host,
        port,
    )
    if not host or "%" in host or not is_same:
        raise UpdateError("what should be a URL is not one")
    if connected.scheme == "http" and host not in LOOPBACK:
        raise UpdateError(f"{host} is not asked: only https:// is safe")
    return Place(sent, connected.scheme, host, PORTS[connected.scheme] if port is None else port)


def host_of(text: str) -> str:
    """Return the host of any URL, for people to see, or the empty text."""
    try:
        with extras.needed("web"):
            import urllib3  # noqa: PLC0415 - as above
    except MissingExtra:
        # Nothing is asked then.
        return _host_of_parts(text)
    try:
        return (urllib3.util.parse_url(text).host or "").lower()
    except urllib3.exceptions.HTTPError:
        return ""


def _host_of_parts(text: str) -> str:
    try:
        return urlsplit(text).hostname or ""
    except ValueError:
        return ""


def refuse_redirect(
    place: Place,
    first: Place,
    hosts: Sequence[str],
    setting: str,
    allowed: Allowed = NOTHING_ALLOWED,
) -> None:
    """Raise ``UpdateError`` for a redirect from ``first`` to a host or port that is not trusted."""
    host = place.host
    if host != first.host and not is_host_of(host, hosts):
        raise UpdateError(
            f"{first.host} redirects to {host}; if that is right, add it to {setting}"
        )
    if place.port not in (PORTS[place.scheme], first.port):
        raise UpdateError(f"{first.host} redirects to port {place.port} of {host}")
    if may_lead_inside(place, first):
        return
    for address in _resolved(host):
        refuse_inside(host, address, allowed, f"{first.host} redirects to {host}, ")


def may_lead_inside(place: Place, first: Place) -> bool:
    """Tell whether a redirect leads no further inside than the URL that was asked for."""
    return first.host in LOOPBACK or place.host == first.host


def refuse_inside(host: str, address: str, allowed: Allowed, who: str = "") -> None:
    """Raise ``UpdateError`` if an address of ``host`` is inside this network, and not allowed."""
    if is_inside(address) and not allowed.has(host, address):
        raise UpdateError(
            f"{who or f'{host} is '}an address inside this network ({address}); if that is right, "
            "as where a proxy answers for DNS, add the host or the network to "
            "DOWNLOAD_PRIVATE_HOSTS"
        )


def is_inside(address: str) -> bool:
    """Tell whether an address is anything but one of a public server; also inside of IPv6."""
    try:
        parsed = _embedded(parse_address(address))
    except InvalidAddress:
        return True
    return bool(special_reason(parsed)) or any(parsed in tunnel for tunnel in TUNNELS)


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the address of IPv4 that one of NAT64 stands for."""
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else address


def _resolved(host: str) -> list[str]:
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None)]
    except OSError:
        # A proxy may resolve names; else the request itself says so.
        return []
