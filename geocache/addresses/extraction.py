"""Find the addresses in a text: a list, or the lines of a log. Knows nothing of Django."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

from geocache.addresses import parse_address, parse_network, special_reason
from geocache.addresses.escapes import unescaped
from geocache.addresses.ports import without_port
from geocache.addresses.versions import is_version
from geocache.exceptions import InvalidAddress

Address = IPv4Address | IPv6Address

# No quantifier can give back what it took, or it takes at most a few characters; and no candidate
# begins inside another. So the time grows with the length of the text, whatever the text is. A
# lone colon is not a candidate: a text of nothing else would take ten times as long as a log.
# Each begins with its first character, and looks back over it: all others are passed over fast.
V4: Final = re.compile(
    r"""
    [0-9]
    (?:
        (?<![\w.].)                     # not the end of a name or of a longer number
        (?<![A-Za-z]-.)                 # nor a version: openssl-1.1.1.1
        [0-9]{0,2}\.(?:[0-9]{1,3}\.){2}[0-9]{1,3}
        (?:
            # Nor the beginning of one: 1.1.1.1.example.org, 1.1.1.1-rc1, 1.1.1.1-1ubuntu2.
            (?!\w|\.\w|-[A-Za-z]|-[0-9]{1,3}[A-Za-z+~]|~\w)
            | (?=\.[\w-]{1,15}\ [<>]\ )  # a port or its name, as tcpdump writes it
        )
        | (?<=[<>]\ .)[0-9]{0,2}\.(?:[0-9]{1,3}\.){2}[0-9]{1,3}(?=\.[\w-]{1,15}:)
    )
    """,
    re.VERBOSE | re.ASCII,  # a letter of another script beside it is not a part of it
)
# A name before a colon is not part of an IPv6 address if one of its letters is not hexadecimal:
# ``IPv6:2001:db8::1``, ``client:2001:db8::1``. The group before that colon has at most four.
HEX: Final = "[0-9A-Fa-f]"
NAMED: Final = rf"(?<=:.)(?:{'|'.join(f'(?<=[G-Zg-z_]{HEX * n}:.)' for n in range(5))})"
CANDIDATE: Final = re.compile(
    rf"""
    [0-9A-Fa-f:]
    (?:
        (?:(?<![\w.:].)|{NAMED})
        (?:(?<=:)|{HEX}{{0,3}}:)[0-9A-Fa-f.]*+:[0-9A-Fa-f:]*+
        (?:
            \.(?=[a-z][\w-]{{1,14}}(?:\ [<>]\ |:\ ))  # the name of a port
            | [0-9A-Fa-f:.]*+(?:%[\w.-]++)?(?!\w)
        )
        | (?<=[0-9]){V4.pattern.strip().removeprefix("[0-9]")}
    )
    """,
    re.VERBOSE | re.ASCII,
)
# What each address has, whatever stands around it: three dots between digits, two colons in a row,
# or six colons; or what may stand for a dot or a colon: ``%3A``, ``[.]``, ``(dot)``, a backslash.
# Most text has none of it, which is told in a tenth of the time of a search for addresses.
# Each part begins with one character that is not in a set: so all others are passed over fast.
MEANS_DOT: Final = "(?:[.:]|[Dd][Oo][Tt])"
SHAPE: Final = re.compile(
    rf"""
    \.(?<=[0-9]\.)[0-9]{{1,3}}\.[0-9]{{1,3}}\.[0-9]
    | :(?::|(?:{HEX}{{1,4}}:){{5}})
    | %(?:25|2[Ee]|3[Aa])
    | \\
    | \[{MEANS_DOT} | \({MEANS_DOT} | \{{{MEANS_DOT}
    """,
    re.VERBOSE | re.ASCII,
)
PREFIX_LENGTH: Final = re.compile(r"/(\d{1,3})(?![\w./])", re.ASCII)
NETMASK: Final = re.compile(r"/(?!255\.255\.255\.255)(?:255\.|0\.0\.0\.)")
# Of an IPv6 address that leaves out no zeros: one that ends as IPv4 is written has the fewest.
MIN_COLONS: Final = 6
# What no machine in a log has: netmasks, times (12:34::56), words (dead::beef), "any address".
UNLIKELY: Final = ("reserved", "unspecified")


def find_addresses(line: str, *, is_start: bool = True) -> list[Address]:
    """Return the addresses in a line, in their order; one that stands twice is there twice.

    The first word is one if it can be read as one (unless the line is the rest of a longer one).
    What stands after it also has to look like the address of a host: not like a version, time,
    network, netmask, or part of a name.
    """
    if not SHAPE.search(line):
        return []
    line = unescaped(line)
    first, start = _first_word(line) if is_start else (None, 0)
    found = [] if first is None else [first]
    for match in CANDIDATE.finditer(line, start):
        found.extend(_read(line, match))
    return found


def read_address(text: str) -> Address | None:
    """Return what ``parse_address`` does, or None; it refuses in a fraction of the time."""
    bare, zone, _ = text.partition("%")
    is_v6 = ":" in bare
    if "." not in bare and not is_v6:
        return None
    if is_v6 and "::" not in bare and bare.count(":") < MIN_COLONS:
        return None  # a time, for example
    try:
        packed = inet_pton(AF_INET6 if is_v6 else AF_INET, bare)
        if zone:
            return parse_address(text) if bare[:2].lower() == "fe" else None  # link-local only
        return parse_address(IPv6Address(packed)) if is_v6 else IPv4Address(packed)
    except (InvalidAddress, OSError, ValueError):
        return None


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
    if words and (
        address := read_address(words[0].removesuffix("/128" if ":" in words[0] else "/32"))
    ):
        return address, line.index(words[0]) + len(words[0])
    return None, 0


def _read(line: str, match: re.Match[str]) -> Iterator[Address]:
    if _is_network_at(line, match):
        return
    text = match[0]
    if ":" not in text:
        if not is_version(line, match.start(), match.end()):
            yield from _likely(read_address(text))
        return
    # As it stands, before the end of a sentence, before a port as tcpdump writes it, and before one
    # that is too long for a part of it; each once.
    ended = text.rstrip(".:")
    for candidate in {
        text: None,
        ended: None,
        text.rstrip(":").rpartition(".")[0]: None,
        without_port(ended): None,
    }:
        if address := read_address(candidate):
            yield from _likely(address)
            return
    # ``outside:192.0.2.1``, of which ``de:192.0.2.1`` might have been an address.
    for part in V4.finditer(line, match.start(), match.end()):
        yield from _read(line, part)


def _likely(address: Address | None) -> Iterator[Address]:
    if address and special_reason(address) not in UNLIKELY:
        yield address


def _is_network_at(line: str, match: re.Match[str]) -> bool:
    """Tell whether a network of several addresses is named; in a URL what follows is a path."""
    if (
        line[match.end() : match.end() + 1] != "/"
        or line[max(match.start() - 2, 0) : match.start()] == "//"
    ):
        return False
    if length := PREFIX_LENGTH.match(line, match.end()):
        return int(length[1]) < (128 if ":" in match[0] else 32)
    return ":" not in match[0] and NETMASK.match(line, match.end()) is not None
