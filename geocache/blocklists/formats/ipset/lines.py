"""The commands of ipset, as ``ipset save`` writes them, and what ``ipset list`` writes."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from geocache.blocklists.formats.base import BadLine, Line, Remark
from geocache.blocklists.formats.firewalls.sets import (
    Clear,
    Declare,
    Delete,
    Event,
    Rename,
    Swap,
)
from geocache.blocklists.formats.ipset.members import SetType

WORD: Final = re.compile(r'"[^"]*"?|[^\s"]+')
# No command has as many words.
MAX_WORDS: Final = 60
# By its name and by its letter.
COMMANDS: Final = {
    "create": "create", "n": "create", "-N": "create",
    "add": "add", "-A": "add",
    "del": "del", "-D": "del",
    "flush": "flush", "-F": "flush",
    "destroy": "destroy", "x": "destroy", "-X": "destroy",
    "swap": "swap", "-W": "swap",
    "rename": "rename", "e": "rename", "-E": "rename",
    "test": "", "-T": "", "list": "", "-L": "", "save": "", "-S": "", "restore": "", "-R": "",
    "version": "", "help": "", "quit": "", "COMMIT": "",
}  # fmt: skip
# These may stand before or among the words of each command.
GENERAL_OPTIONS: Final = frozenset(("-!", "-exist", "--exist", "-q", "-quiet", "--quiet"))
# What ``ipset list`` says of a set behind its name.
HEADINGS: Final = (
    *("Type:", "Header:", "Members:", "Revision:"),
    *("Size in memory:", "References:", "Number of entries:"),
)
MAX_REMARKS: Final = 20


class Lines:
    """One reading of a file, line by line."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = lines
        self._types: dict[str, SetType] = {}
        # Of a listing: the set that it has come to, and whether its members follow.
        self._listed = ""
        self._has_members = False
        # How many members it says that it has; those of a set with a timeout may be fewer.
        self._missing = 0
        self._has_timeout = False

    def events(self) -> Iterator[Event]:
        """Give what happens to sets, in the order of the file."""
        number = remark_count = 0
        for number, text in self._lines:
            words = _words(text)
            if not words:
                continue
            if len(words) > MAX_WORDS:
                yield BadLine(number, " ".join(words), "has more words than a command")
            elif words[0][0] == "#":
                remark_count += 1
                said = text.strip("# \t")
                if remark_count <= MAX_REMARKS and said and not said.startswith("!"):
                    yield Remark(said[:1000])
            elif words[0] == "Name:" and len(words) > 1:
                yield from self._end(number)
                self._listed, self._has_members = words[1], False
            elif self._has_members:
                self._missing -= 1
                yield self._type(self._listed).member(number, self._listed, words)
            elif self._listed and text.startswith(HEADINGS):
                yield from self._heading(words)
            else:
                yield from self._command(number, words)
        yield from self._end(number)

    def _end(self, number: int) -> Iterator[Event]:
        """Say that a listed set is cut off."""
        if self._missing > 0 and not self._has_timeout:
            yield BadLine(number, self._listed, f"has {self._missing} members less than it says")
        self._missing, self._has_timeout = 0, False

    def _heading(self, words: list[str]) -> Iterator[Event]:
        match words:
            case ["Type:", kind, *_]:
                yield self._declare(self._listed, SetType(kind))
            case ["Header:", *options]:
                self._types[self._listed] = SetType.read(self._type(self._listed).name, options)
                self._has_timeout = "timeout" in options
            case ["Number", "of", "entries:", count] if count.isdecimal():
                self._missing = int(count[:9])
            case ["Members:"]:
                self._has_members = True

    def _command(self, number: int, words: list[str]) -> Iterator[Event]:
        if len(words) == 3 and words[0] == "add" and "-" not in (words[1][0], words[2][0]):
            # Nearly all lines of a long list.
            yield self._type(words[1]).member(number, words[1], words[2:])
            return
        given = _without_shell(words)
        match [word for word in given if word not in GENERAL_OPTIONS]:
            case [command, *names] if command.removeprefix("--") in COMMANDS:
                known = COMMANDS[command.removeprefix("--")]
                yield from self._known(number, known, names)
            case _:
                yield BadLine(number, " ".join(words), "is not a command of ipset")

    def _known(self, number: int, command: str, names: list[str]) -> Iterator[Event]:
        match command, names:
            case "create", [name, kind, *options]:
                yield self._declare(name, SetType.read(kind, options))
            case "add", [name, *element] if element:
                yield self._type(name).member(number, name, element)
            case "del", [name, *element] if element:
                of_set = self._type(name)
                gone = of_set.member(number, name, element)
                yield Delete(number, name, gone.text, gone.rest, of_set.has_networks)
            case "flush" | "destroy", []:
                yield Clear()
            case "flush" | "destroy", [name]:
                yield Clear(name)
            case "swap", [first, second]:
                one, other = self._type(first), self._type(second)
                self._types[first], self._types[second] = other, one
                yield Swap(first, second)
            case "rename", [old, new]:
                self._types[new] = self._types.pop(old, SetType())
                yield Rename(old, new)
            case "", _:
                pass
            case _:
                yield BadLine(number, " ".join([command, *names]), "is not a whole command")

    def _type(self, name: str) -> SetType:
        return self._types.get(name, SetType())

    def _declare(self, name: str, kind: SetType) -> Declare:
        self._types[name] = kind
        return Declare(name, kind.has_addresses)


def _words(text: str) -> list[str]:
    """Give the words of a line; what stands in quotes is one."""
    if '"' not in text:
        return text.split(maxsplit=MAX_WORDS)
    return [one[0] for one in islice(WORD.finditer(text), MAX_WORDS + 1)]


def _without_shell(words: list[str]) -> list[str]:
    """Return a command that is written as a line of a shell without what calls it."""
    rest = words[1:] if words[0] == "sudo" else words
    if not rest or rest[0].rpartition("/")[2] != "ipset":
        return words
    end = next((index for index, word in enumerate(rest) if word[0] == "#"), len(rest))
    unquoted = (word.strip("\"'").rstrip(";") for word in rest[1:end])
    return [word for word in unquoted if word]
