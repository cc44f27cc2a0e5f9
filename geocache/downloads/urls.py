"""Where a URL leads, as the library that connects reads it; refused where readers differ."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from typing import Final
from urllib.parse import urlsplit

import requests
import urllib3

from geocache.addresses import parse_address, special_reason
from geocache.exceptions import InvalidAddress, UpdateError

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


def is_plain(text: str) -> bool:
    """Tell whether a text is without what readers of URLs leave out, or take for a slash."""
    return text.isprintable() and " " not in text and "\\" not in text


def read_url(text: str) -> Place:
    """Return where ``text`` leads; raise ``UpdateError`` for all but plain ``https://host/...``.

    ``http://`` is accepted for this machine only.
    """
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
        return (urllib3.util.parse_url(text).host or "").lower()
    except urllib3.exceptions.HTTPError:
        return ""


def refuse_redirect(place: Place, first: Place, hosts: Sequence[str], setting: str) -> None:
    """Raise ``UpdateError`` for a redirect from ``first`` to a host or port that is not trusted."""
    host = place.host
    if host != first.host and not any(host == one or host.endswith(f".{one}") for one in hosts):
        raise UpdateError(
            f"{first.host} redirects to {host}; if that is right, add it to {setting}"
        )
    if place.port not in (PORTS[place.scheme], first.port):
        raise UpdateError(f"{first.host} redirects to port {place.port} of {host}")
    if first.host not in LOOPBACK and any(map(is_inside, _resolved(host))):
        raise UpdateError(f"{first.host} redirects to {host}, an address inside this network")


def is_inside(address: str) -> bool:
    """Tell whether an address is anything but one of a public server; also inside of IPv6."""
    try:
        parsed = parse_address(address)
    except InvalidAddress:
        return True
    if parsed in NAT64:
        parsed = IPv4Address(int(parsed) & 0xFFFFFFFF)
    return bool(special_reason(parsed)) or any(parsed in tunnel for tunnel in TUNNELS)


def _resolved(host: str) -> list[str]:
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None)]
    except OSError:
        # A proxy may resolve names; else the request itself says so.
        return []
