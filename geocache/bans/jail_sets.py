"""The sets of a firewall that the actions of a jail of fail2ban fill, and what they hold.

fail2ban notes a ban before its actions run, and keeps it when they fail: what it says to have
banned may be missing in the firewall. What an action does is told by its own commands, as the
server has them. An action that is not known here tells nothing, nor does a firewall that may not
be read.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from geocache.bans.ranges import Range
from geocache.exceptions import BanError

# Asks the server of fail2ban; raises ``BanError``.
Ask = Callable[..., str]
# Runs a program and returns what it says; raises ``BanError``.
Run = Callable[[Sequence[str]], str]

TAG: Final = re.compile(r"<([\w?=/-]+)>")
# Of its parameters those for IPv6 have this behind their names.
FAMILIES: Final = {4: "", 6: "?family=inet6"}
MAX_TAGS: Final = 20
# What nft, ipset and iptables say of a set or chain that does not exist, as after a flush.
IS_GONE: Final = re.compile(
    "failed with .*(No such file or directory|set with the given name does not exist|No chain/)"
)


class Reader(Protocol):
    """How one kind of action writes its bans, and how these are read."""

    banning: re.Pattern[str]

    def takes_networks(self, start: str) -> bool:
        """Tell it by the commands that make the set."""

    def command(self, found: re.Match[str], version: int) -> list[str]:
        """Return the program that lists the set, by what was ``found`` in the command that bans."""

    def ranges(self, text: str) -> Iterator[Range]:
        """Read what that program says; raise ``ValueError``, ``KeyError`` or ``TypeError``."""


class Nftables:
    """Of nftables.conf: networks need an interval set, which it makes since 1.1.1."""

    banning = re.compile(r"\badd element (\S+) (\S+) (\S+) \\?\{ ?<ip>")

    def takes_networks(self, start: str) -> bool:
        return bool(re.search(r"\bflags [\w, ]*\binterval\b", start))

    def command(self, found: re.Match[str], version: int) -> list[str]:  # noqa: ARG002 - in its name
        return ["nft", "-j", "list", "set", *found.groups()]

    def ranges(self, text: str) -> Iterator[Range]:
        for each in json.loads(text)["nftables"]:
            for element in each.get("set", {}).get("elem", ()):
                yield self._range(element)

    def _range(self, element: Any) -> Range:
        if isinstance(element, str):
            return Range.parse(element)
        if "elem" in element:
            return self._range(element["elem"]["val"])
        if "range" in element:
            return Range.parse("-".join(element["range"]))
        return Range.parse(f"{element['prefix']['addr']}/{element['prefix']['len']}")


class Ipset:
    """Of iptables-ipset and its like: networks need a set of the type ``hash:net``."""

    banning = re.compile(r"\bipset (?:-exist |-! )?add (?:-exist |-! )?(\S+) <ip>")

    def takes_networks(self, start: str) -> bool:
        return "hash:ip" not in start

    def command(self, found: re.Match[str], version: int) -> list[str]:  # noqa: ARG002 - in its name
        return ["ipset", "save", found[1]]

    def ranges(self, text: str) -> Iterator[Range]:
        for words in map(str.split, text.splitlines()):
            if words[:1] == ["add"]:
                yield Range.parse(words[2])


class Iptables:
    """Of iptables.conf: a rule for each ban, in a chain of the jail."""

    banning = re.compile(r" -I (\S+) 1 -s <ip> ")

    def takes_networks(self, start: str) -> bool:  # noqa: ARG002 - each rule does
        return True

    def command(self, found: re.Match[str], version: int) -> list[str]:
        return ["iptables" if version == 4 else "ip6tables", "-w", "-S", found[1]]

    def ranges(self, text: str) -> Iterator[Range]:
        for words in map(str.split, text.splitlines()):
            if words[:1] == ["-A"] and words[2:3] == ["-s"]:
                yield Range.parse(words[3])


@dataclass(frozen=True, slots=True)
class JailSet:
    """The sets of one action, for IPv4 and IPv6, and the programs that list them."""

    KINDS: ClassVar[tuple[Reader, ...]] = (Nftables(), Ipset(), Iptables())

    action: str
    # The commands that make its sets.
    start: str
    commands: dict[int, list[str]]
    reader: Reader

    @property
    def takes_networks(self) -> bool:
        """Tell whether a ban of a network is one in the firewall."""
        return self.reader.takes_networks(self.start)

    @property
    def merges(self) -> bool:
        """Tell whether nftables puts networks together; nft 1.0.6 then deletes no part of one."""
        return "auto-merge" in self.start

    def read(self, run: Run, version: int) -> list[Range] | None:
        """Return what its set for a version of IP holds, or None if that cannot be read."""
        try:
            return list(self.reader.ranges(run(self.commands[version])))
        except BanError as error:
            # Otherwise it takes rights, or a program, that this process lacks.
            return [] if IS_GONE.search(str(error)) else None
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return None


def find_sets(ask: Ask, jail: str) -> list[JailSet]:
    """Return the sets that the actions of a jail fill, as far as these are known."""
    said = ask("get", jail, "actions").strip().splitlines()
    # A heading, and their names; or one line that there is none.
    names = [name.strip() for name in said[-1].split(",")] if len(said) > 1 else []
    return [found for name in names if (found := _find_set(ask, jail, name))]


def _find_set(ask: Ask, jail: str, name: str) -> JailSet | None:
    def get(what: str) -> str:
        return ask("get", jail, "action", name, what)

    try:
        ban = get("actionban")
        for kind in JailSet.KINDS:
            if not kind.banning.search(ban):
                continue
            commands = {}
            for version, family in FAMILIES.items():
                if found := kind.banning.search(_resolved(ban, get, family)):
                    commands[version] = kind.command(found, version)
            return JailSet(name, get("actionstart"), commands, kind)
    except BanError:
        # An action in Python has no commands.
        return None
    return None


def _resolved(command: str, get: Callable[[str], str], family: str) -> str:
    """Put the parameters of an action into its command, but for the address."""
    for _ in range(MAX_TAGS):
        tag = next((one for one in TAG.findall(command) if one != "ip" and one in KNOWN_TAGS), "")
        if not tag:
            break
        command = command.replace(f"<{tag}>", _parameter(tag, get, family))
    return command


# What the names of sets are made of; others stand in parts of the command that are not looked at.
KNOWN_TAGS: Final = ("addr_set", "ipmset", "name", "table", "table_family")


def _parameter(tag: str, get: Callable[[str], str], family: str) -> str:
    if family and tag in ("addr_set", "ipmset"):
        try:
            return get(f"{tag}{family}").strip()
        except BanError:
            pass
    return get(tag).strip()
