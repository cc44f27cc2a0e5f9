"""One element of an ipset, and what its type says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from geocache.blocklists.formats.firewalls.sets import Add, split_components

# What an element of each old type consists of; the new ones say it: ``hash:ip,port``.
OLD_TYPES: Final = {
    "iphash": "ip",
    "nethash": "net",
    "ipmap": "ip",
    "iptree": "ip",
    "iptreemap": "ip",
    "macipmap": "ip,mac",
    "ipporthash": "ip,port",
    "ipportiphash": "ip,port,ip",
    "ipportnethash": "ip,port,net",
    "portmap": "port",
    "setlist": "set",
}
KINDS: Final = ("hash", "bitmap", "list")
ADDRESSES: Final = frozenset(("ip", "net"))
# Behind an element, with a word each; two have none.
OPTIONS: Final = frozenset(
    ("timeout", "packets", "bytes", "skbmark", "skbprio", "skbqueue", "before", "after")
)
NO_MATCH: Final = "nomatch"
# Of a set: its elements stand for more than what is written.
MASKS: Final = ("netmask", "bitmask")


def is_type(word: str) -> bool:
    """Tell whether ``word`` is a type of sets."""
    return word in OLD_TYPES or word.partition(":")[0] in KINDS


@dataclass(frozen=True, slots=True)
class SetType:
    """What the elements of a set are."""

    name: str = ""
    # Of a set that keeps networks of this length, and writes their first addresses.
    netmask: str = ""
    # Why its elements cannot be read.
    problem: str = ""

    @classmethod
    def read(cls, name: str, options: Sequence[str]) -> "SetType":
        """Read the type and what follows it where a set is created."""
        found = {option.lstrip("-"): value for option, value in pairwise(options)}
        problem = "is masked: which addresses it means is not said" if "bitmask" in found else ""
        return cls(name, found.get("netmask", ""), problem)

    @property
    def has_addresses(self) -> bool:
        """Tell whether its elements have addresses."""
        return not self.name or not ADDRESSES.isdisjoint(self._parts)

    @property
    def has_networks(self) -> bool:
        """Tell whether a network is one element; otherwise it is as many as it has addresses."""
        return "net" in self._parts

    @property
    def _parts(self) -> list[str]:
        return (OLD_TYPES.get(self.name) or self.name.partition(":")[2]).split(",")

    def member(self, line_number: int, set_name: str, words: Sequence[str]) -> Add:
        """Read an element and its options."""
        text, rest, problem = split_components(words[0].split(","))
        comment, unknown = _options(words[1:]) if len(words) > 1 else ("", "")
        if self.netmask and "/" not in text and not problem:
            text = f"{text}/{self.netmask}"
        problem = problem or unknown or self.problem
        shown = " ".join(words) if problem else text
        return Add(line_number, set_name, shown, comment, rest, problem)


def _options(words: Sequence[str]) -> tuple[str, str]:
    """Return the comment, and why an element is not an entry."""
    comment, problem, index = "", "", 0
    while index < len(words):
        word = words[index].removeprefix("--")
        following = words[index + 1] if index + 1 < len(words) else ""
        if word == "comment" and (following[:1] != '"' or following[1:].endswith('"')):
            comment = following.strip('"')
        elif word == NO_MATCH:
            problem, index = "is an exception (nomatch), which a list cannot hold", index - 1
        elif word not in OPTIONS or not following:
            return comment, "is not an element that is understood"
        index += 2
    return comment, problem
