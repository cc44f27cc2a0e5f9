"""Lists as people write them: addresses on lines, with scores and comments.

A line is read whole or is a bad line. Behind one address there may be a score or a comment; behind
several only a comment that is marked as one.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from geocache.addresses.blocks import is_entry
from geocache.blocklists.formats.base import BadLine, Element, Found, Head, Options, Remark, Source
from geocache.blocklists.formats.words import (
    Lengths,
    addresses_first,
    comment,
    holds_address,
    is_exemption,
    means_exempt,
    score,
    whole_network,
    without_port,
)
from geocache.exceptions import ImportFailed

COMMENT_LINE: Final = re.compile(r"#|;|//|--(?:\s|$)")
# A comment behind an address. A semicolon without a space separates addresses, too.
COMMENT: Final = re.compile(r"#|(?<=\s)//|(?<=\s);|;(?=\s)|(?<=\s)--(?=\s)")
# What an address, a network or a range by itself has none of.
PUNCTUATION: Final = re.compile(r"[,;#\[\"']")
# What web servers read: the addresses that a line denies.
DENIAL: Final = re.compile(r"(?:deny(?:\s+from)?|require\s+not\s+ip)\s+(?=\S)", re.IGNORECASE)
# eMule's ipfilter.dat has a range, a level of access, and a name. Higher levels allow.
LAST_DENIED_LEVEL: Final = 127
HIGHEST_LEVEL: Final = 255
# What hosts files map names to: no address, this machine, and the groups of its neighbours.
MAPPED: Final = re.compile(
    r"0\.0\.0\.0|127(?:\.[0-9]{1,3}){3}|255\.255\.255\.255|::1?|fe80::1|ff0[0-9a-f]::[0-9a-f]?",
    re.IGNORECASE,
)
IS_MAPPED: Final = "maps a name to an address, as hosts files do"
HOSTS_FILE: Final = "it is a hosts file: it lists names, and addresses that stand for this machine"
# A line by itself that says what follows: ``[whitelist]``, ``Allowed addresses:``.
SECTION: Final = re.compile(r"\[[\w -]{1,40}\]|[\w-][\w -]{0,40}:|[\w-]{1,40}")
NUMBER_BEHIND: Final = re.compile(r"([0-9a-fA-F.:]{1,40})[\s,;]+([0-9]{1,3})(?![^\s,;])")
# Two addresses that are the ends of one network, by version: from this length on a doubt.
NARROWEST_RANGE: Final = {4: 24, 6: 64}
TWO_EACH: Final = (
    "each line holds two addresses: two columns, or ranges? Name the column and the format CSV, or "
    "write one address a line, and a range as first-last"
)


class PlainList:
    """One or several addresses a line."""

    name = "list"

    def matches(self, head: Head) -> bool:
        """Take any text: it is asked last."""
        del head
        return True

    def read(self, source: Source, options: Options) -> Iterator[Found]:
        if options.column not in ("", "1"):
            raise ImportFailed('a plain list has no columns; name its format, for example "CSV"')
        doubts = _Doubts()
        for number, text in source.lines():
            words = text.split(None, 2)
            if not words:
                continue
            if COMMENT_LINE.match(words[0]):
                yield Remark(comment(text.strip().lstrip("#;/- \t")))
                continue
            if not words[0][0].isdecimal():
                _refuse_exemptions(number, text.strip())
            found = _read_simple(number, words) or _read(number, text.strip())
            doubts.see(found, text)
            yield found
        doubts.refuse(options)


class _Doubts:
    """What only all lines together tell: they may mean something else."""

    def __init__(self) -> None:
        self._pairs = self._others = self._mapped = self._unnamed = 0
        self._lengths = Lengths()

    def see(self, found: Element | BadLine, text: str) -> None:
        is_pair = isinstance(found, Element) and len(found.texts) == 2
        self._pairs, self._others = self._pairs + is_pair, self._others + (not is_pair)
        if isinstance(found, BadLine):
            self._mapped += found.reason == IS_MAPPED
            return
        self._unnamed += not found.comment
        if not self._lengths.is_settled and (numbered := NUMBER_BEHIND.match(text.lstrip())):
            self._lengths.see(numbered[1], numbered[2])

    def refuse(self, options: Options) -> None:
        """Raise ``ImportFailed`` where they do."""
        if self._mapped > self._unnamed:
            raise ImportFailed(HOSTS_FILE)
        if self._pairs > 1 and not self._others:
            raise ImportFailed(TWO_EACH)
        if not options.score_column:
            self._lengths.refuse()


def _refuse_exemptions(number: int, text: str) -> None:
    """Raise ``ImportFailed`` for a heading of what is not to be listed."""
    if SECTION.fullmatch(text) and is_exemption(text):
        raise ImportFailed(
            f"line {number}: {text!r} begins what is not to be listed; "
            "import the other part by itself"
        )


def _read_simple(number: int, words: Sequence[str]) -> Element | None:
    """Read one address, with or without a score; None for a line that needs a closer look."""
    if len(words) > 2 or PUNCTUATION.search(words[0]) or (":" in words[0] and "." in words[0]):
        return None
    if len(words) == 1:
        return Element(number, (words[0],))
    amount = score(words[1])
    return None if amount is None else Element(number, (words[0],), amount)


def _read(number: int, text: str) -> Element | BadLine:
    mark = COMMENT.search(text)
    body, remark = (text[: mark.start()], text[mark.end() :]) if mark else (text, "")
    if denial := DENIAL.match(body):
        return _read_denial(number, text, body[denial.end() :], remark)
    if mark and mark[0] in (";", "--") and _is_all_addresses(remark):
        if text[mark.start() - 1].isspace():
            return BadLine(number, text, "may be two entries, or one and a comment")
        body, remark = text, ""
    found, rest = addresses_first(body)
    if not found:
        return _read_named(number, text)
    if len(found) == 1:
        return _read_one(number, text, found[0], (rest, remark))
    if rest:
        return BadLine(number, text, "has more on it than addresses")
    return _read_several(number, text, found, comment(remark))


def _read_one(number: int, text: str, address: str, notes: tuple[str, str]) -> Element | BadLine:
    """Read an address with a score or comment; ``notes`` are what is not marked, and what is."""
    rest, remark = notes
    level, _, name = map(str.strip, rest.partition(","))
    if "-" in address and name and level.isdecimal() and len(level) <= 3:
        if LAST_DENIED_LEVEL < int(level) <= HIGHEST_LEVEL:
            return BadLine(number, text, "is an exception")
        rest = name
    amount = score(rest)
    if holds_address(rest):
        return BadLine(number, text, "has another address behind the first")
    if is_exemption(rest) or means_exempt(rest.lstrip("=>: ").lower()):
        return BadLine(number, text, "is an exception")
    if rest and amount is None and MAPPED.fullmatch(address):
        return BadLine(number, text, IS_MAPPED)
    if rest and text.endswith(";"):
        return BadLine(number, text, "gives a value to an address")
    port = without_port(text.split(None, 1)[0])[1]
    parts = (f"port {port}" if port else "", rest if amount is None else "", remark)
    return Element(number, (address,), amount, comment(" ".join(filter(None, parts))))


def _read_several(number: int, text: str, found: list[str], remark: str) -> Element | BadLine:
    """Read several addresses; two of them may be the first and last of one network."""
    network = whole_network(*found[:2])
    is_only, is_wide = (
        len(found) == 2,
        network is not None
        and network.prefix_length <= (NARROWEST_RANGE[6 if ":" in network.text else 4]),
    )
    if network is None or not (is_only or is_wide):
        return Element(number, tuple(found), None, remark)
    if is_only and is_wide:
        return Element(number, (network.text,), None, remark)
    return BadLine(number, text, "may be two addresses, or a range")


def _read_denial(number: int, text: str, denied: str, remark: str) -> Element | BadLine:
    found, rest = addresses_first(denied)
    if rest or not found or DENIAL.match(remark.lstrip()):
        return BadLine(number, text)
    return Element(number, tuple(found), None, comment(remark.lstrip("#/; ")))


def _read_named(number: int, text: str) -> Element | BadLine:
    """Read PeerGuardian's lines: a name, a colon, a range."""
    name, _, addresses = text.rpartition(":")
    if "-" not in addresses or not is_entry(addresses):
        return BadLine(number, text)
    if is_exemption(name):
        return BadLine(number, text, "is an exception")
    return Element(number, (addresses.strip(),), None, comment(name))


def _is_all_addresses(text: str) -> bool:
    found, rest = addresses_first(text)
    return bool(found) and not rest
