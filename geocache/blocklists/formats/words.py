"""What one text of a list says: addresses in the forms that people write, a score, a comment."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, ip_network
from itertools import islice
from typing import Final

from geocache.addresses.blocks import Entry, is_entry, parse_entries
from geocache.exceptions import ImportFailed, InvalidAddress

MAX_COMMENT: Final = 500
DASHES: Final = ("-", "\N{EN DASH}", "\N{EM DASH}", "to")
SEPARATORS: Final = str.maketrans({",": " ", ";": " "})
# Netmasks and hostmasks that stand where the next address could, which none of these is.
NETMASKS: Final = frozenset(str(IPv4Network((0, length)).netmask) for length in range(3, 33))
HOSTMASKS: Final = frozenset(str(IPv4Network((0, length)).hostmask) for length in range(8, 32))
PREFIX_LENGTH: Final = re.compile(r"/[0-9]{1,3}")
PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?")
# What looks like an address and is not part of a name, such as 1.1.1.1.example.org, or a version.
# Nothing is given back, so that the time grows with the length of the text alone.
CANDIDATE: Final = re.compile(
    r"(?<![\w.:])(?<![A-Za-z0-9]-)(?<![A-Za-z]/)\[?([0-9A-Fa-f:.]{2,}+)(?!\w|-[A-Za-z])"
)
# Without one of these a text holds no address: it is a name, or a time.
MAY_HOLD: Final = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|::|(?:[0-9A-Fa-f]{1,4}:){6}")
NUMBER: Final = re.compile(r"[-+]?[0-9]{1,20}(?:\.[0-9]{1,20})?%?")

EXEMPT: Final = re.compile(
    r"^\W?not\b|(?<![a-z])(?:(?:allow|accept|permit|permitt|white|whitelist|unban|unbann|unblock"
    r"|exempt|except|exclud|ignor|trust|bypass|dunno)(?:e|e?d|s|list|listed|ion)?"
    r"|(?:good|safe)list|ok|pass|safe|benign"
    r"|erlaub(?:en|t)|zu(?:ge)?lassen|frei(?:ge)?geben|ausnahmen?|autoris(?:er|ée?)"
    r"|permit(?:ir|ido))(?![a-z])",
    re.IGNORECASE,
)
# What says so only by itself.
HARMLESS: Final = frozenset({"good", "safe", "clean", "legit", "legitimate", "friendly"})
# In tables and JSON these are answers to other questions, and the name of a state.
OTHER_ANSWERS: Final = frozenset({"ok", "pass"})
MAX_WORD: Final = 24
LENGTHS_OR_SCORES: Final = (
    "the numbers beside its addresses may be lengths of prefixes, or scores: write networks as "
    "9.9.9.0/24, or name the column of scores"
)


def addresses_first(text: str) -> tuple[list[str], str]:
    """Return the addresses that a text begins with, and what stands behind them.

    An address may have a netmask or a prefix length behind a space, be the first of a range, or
    have a port, which is dropped.
    """
    text = text.strip()
    spaced = text.translate(SEPARATORS)
    words, found = spaced.split(), []
    index = 0
    while index < len(words):
        address, count = _address(words, index)
        if not count:
            break
        found.append(address)
        index += count
    if index == len(words):
        return found, ""
    # As it stands there, with its commas.
    return found, text[-len(spaced.split(maxsplit=index)[index]) :]


def addresses_only(text: str) -> tuple[str, ...]:
    """Return the addresses of a text; the text itself when there is anything else in it."""
    found, rest = addresses_first(text)
    return (text.strip(),) if rest or not found else tuple(found)


def whole_network(first: str, last: str) -> Entry | None:
    """Return the network of which these are the ends; None if they are not, or it has only two."""
    try:
        networks = parse_entries(f"{first}-{last}")
    except InvalidAddress:
        return None
    is_whole = len(networks) == 1 and networks[0].is_network
    size_bits = (128 if ":" in first else 32) - networks[0].prefix_length
    return networks[0] if is_whole and size_bits > 1 else None


def is_mask(text: str) -> bool:
    """Tell whether a text is a netmask, a hostmask or the length of a prefix."""
    word = text.strip().removeprefix("/")
    is_length = word.isdecimal() and word.isascii() and len(word) <= 3 and int(word) <= 128
    return is_length or word in NETMASKS or word in HOSTMASKS


def without_scope(text: str) -> str:
    """Return an address without the scope that CrowdSec's tables put in front of it."""
    scope, _, value = text.partition(":")
    return value if scope.lower() in ("ip", "range") else text


def unquoted(word: str) -> str:
    """Return a word without the quotes around it."""
    return word[1:-1] if word[:1] in "\"'" and word[:1] == word[-1:] else word


def without_port(word: str) -> tuple[str, str]:
    """Return an address and its port, as in ``9.9.9.9:80`` and ``[2620:fe::fe]:80``."""
    match = PORT.fullmatch(word)
    if match is None or int(match[3] or 0) > 65535:
        return word, ""
    return match[1] or match[2], match[3] or ""


def holds_address(text: str) -> bool:
    """Tell whether there is an address anywhere in a text that should be a comment."""
    return next(addresses_in(text), None) is not None


def has_other(text: str, address: str) -> bool:
    """Tell whether a text holds an address that is not this one."""
    return MAY_HOLD.search(text) is not None and any(
        word not in (address, f"{address}:") for word in addresses_in(text)
    )


def addresses_in(text: str) -> Iterator[str]:
    """Give all addresses of a text that should be a comment."""
    for match in CANDIDATE.finditer(text):
        word = match[1].rstrip(".")
        if any(c in word for c in ".:") and word.strip(":"):
            ends = (word, word.rstrip(":"), without_port(word)[0])
            yield from islice(filter(is_entry, ends), 1)


def is_exemption(text: str) -> bool:
    """Tell whether a text says that something is allowed: ``permit``, ``whitelisted``."""
    return EXEMPT.search(text) is not None


def means_exempt(word: str) -> bool:
    """Tell whether a word of small letters is one of those."""
    return EXEMPT.fullmatch(word) is not None or word in HARMLESS


def is_exempt_value(text: str) -> bool:
    """Tell whether a value, whatever it is called, is such a word."""
    return len(text) <= MAX_WORD and text.isalpha() and _is_exempt_word(text)


@lru_cache(4096)
def _is_exempt_word(text: str) -> bool:
    word = text.lower()
    return means_exempt(word) and word not in OTHER_ANSWERS


class Lengths:
    """Whether all numbers beside addresses may be the lengths of their prefixes."""

    def __init__(self) -> None:
        # They are not.
        self.is_settled = False
        self._is_seen = False

    def see(self, address: str, number: str) -> None:
        try:
            network = ip_network(f"{address}/{number}")
        except ValueError:
            self.is_settled = True
        else:
            self._is_seen |= network.prefixlen < network.max_prefixlen

    def refuse(self) -> None:
        """Raise ``ImportFailed`` if they may."""
        if self._is_seen and not self.is_settled:
            raise ImportFailed(LENGTHS_OR_SCORES)


def score(text: str) -> float | None:
    """Return a count or score; None for a text that is not a number."""
    word = text.strip()
    if not NUMBER.fullmatch(word):
        return None
    return float(word.rstrip("%"))


def comment(text: str) -> str:
    """Return a comment as one line that can be stored."""
    cut = text[: 4 * MAX_COMMENT].encode("utf-8", "replace").decode()
    return " ".join(cut.split())[:MAX_COMMENT]


def _address(words: Sequence[str], index: int) -> tuple[str, int]:
    """Return the address that stands at ``index``, and of how many words it is; 0: none does."""
    word = without_port(unquoted(words[index]))[0]
    following = (*words[index + 1 : index + 3], "", "")
    if not is_entry(word):
        # A range may be written as ``a- b``.
        is_range = word[-1:] in DASHES and is_entry(word + following[0])
        return (word + following[0], 2) if is_range else (word, 0)
    if "/" in word:
        return word, 1
    joined, count = _joined(word, following[0], following[1])
    return (joined, count) if count else (word, 1)


def _joined(word: str, second: str, third: str) -> tuple[str, int]:
    """Return an address with the range or netmask that two more words make of it; or 0 words."""
    if second in DASHES and is_entry(third):
        return f"{word}-{third}", 3
    if second == "/":
        return f"{word}/{third}", 3 if third else 2
    if PREFIX_LENGTH.fullmatch(second):
        return word + second, 2
    if second in NETMASKS or second in HOSTMASKS:
        return f"{word}/{second}", 2
    return word, 0
