"""Find the addresses in a text: a list, or the lines of a log. Knows nothing of Django."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

from geocache.addresses import parse_address, parse_network, special_reason
from geocache.exceptions import InvalidAddress

Address = IPv4Address | IPv6Address

# No quantifier can give back what it took, or it takes at most a few characters; and no candidate
# begins inside another. So the time grows with the length of the text, whatever the text is. A
# lone colon is not a candidate: a text of nothing else would take ten times as long as a log.
V4: Final = re.compile(
    r"""
    (?<![\w.])                              # not the end of a name or of a longer number
    (?<![A-Za-z]-)(?<!(?i:version)[\ :=])   # nor a version: openssl-1.1.1.1, version 1.1.1.1
    (?:[0-9]{1,3}\.){3}[0-9]{1,3}
    (?!\w|\.\w|-[A-Za-z])                   # nor the beginning of one: 1.1.1.1.example.org
    """,
    re.VERBOSE,
)
CANDIDATE: Final = re.compile(
    rf"""
    (?<![\w.:])[0-9A-Fa-f]{{0,4}}:[0-9A-Fa-f.]*+:[0-9A-Fa-f:.]*+(?:%[\w.-]++)?(?!\w)
    | {V4.pattern}
    """,
    re.VERBOSE,
)
# The name before a slash in ``Chrome/120.0.0.0``, which is no part of a path.
PRODUCT: Final = re.compile(r"(?:^|[\s\"'(;,])[A-Za-z][\w.+-]*/\Z")
PRODUCT_LENGTH: Final = 40
PREFIX_LENGTH: Final = re.compile(r"/(\d{1,3})(?![\w./])", re.ASCII)
# What no machine in a log has: netmasks, times (12:34::56), words (dead::beef), "any address".
UNLIKELY: Final = ("reserved", "unspecified")


def find_addresses(line: str) -> list[Address]:
    """Return the addresses in a line, in their order; one that stands twice is there twice.

    The first word is one if it can be read as one. What stands behind it also has to look like
    somebody's address: no version, time, network, netmask, or part of a name.
    """
    if "." not in line and line.count(":") < 2:
        return []  # most lines of a text that is not a log
    first, start = _first_word(line)
    found = [] if first is None else [first]
    for match in CANDIDATE.finditer(line, start):
        found.extend(_read(line, match))
    return found


def is_network(text: str) -> bool:
    """Tell whether ``text`` is a network in CIDR notation."""
    if "/" not in text:
        return False
    try:
        parse_network(text)
    except InvalidAddress:
        return False
    return True


def _first_word(line: str) -> tuple[Address | None, int]:
    """Return the address that a line begins with, and where the rest of the line starts."""
    words = line.partition("#")[0].split(maxsplit=1)
    if words and (address := _parse(words[0])):
        return address, line.index(words[0]) + len(words[0])
    return None, 0


def _read(line: str, match: re.Match[str]) -> Iterator[Address]:
    if _is_version(line, match.start()) or _is_network_at(line, match):
        return
    text = match[0]
    # As it stands, before the end of a sentence, before a port as tcpdump writes it; each once.
    for candidate in {
        text: None,
        text.rstrip(".:"): None,
        text.rstrip(":").rpartition(".")[0]: None,
    }:
        if address := _parse(candidate):
            if special_reason(address) not in UNLIKELY:
                yield address
            return
    # ``outside:192.0.2.1``, of which ``de:192.0.2.1`` might have been an address.
    for part in V4.finditer(line, match.start(), match.end()) if ":" in text else ():
        yield from _read(line, part)


def _is_version(line: str, start: int) -> bool:
    if start == 0 or line[start - 1] != "/":
        return False
    return bool(PRODUCT.search(line[max(start - PRODUCT_LENGTH, 0) : start]))


def _is_network_at(line: str, match: re.Match[str]) -> bool:
    """Tell whether a prefix length follows; in a URL and behind a port it is a path."""
    length = PREFIX_LENGTH.match(line, match.end())
    if not length or line[max(match.start() - 2, 0) : match.start()] == "//":
        return False
    return int(length[1]) <= (128 if ":" in match[0] else 32)


def _parse(text: str) -> Address | None:
    """Return what ``parse_address`` does, or None; it refuses in a fraction of the time."""
    bare, zone, _ = text.partition("%")
    is_v6 = ":" in bare
    if not is_v6 and "." not in bare:
        return None
    try:
        packed = inet_pton(AF_INET6 if is_v6 else AF_INET, bare)
        if zone:
            return parse_address(text) if bare[:2].lower() == "fe" else None  # link-local only
        return parse_address(IPv6Address(packed)) if is_v6 else IPv4Address(packed)
    except (InvalidAddress, OSError, ValueError):
        return None
