"""The sets of a firewall, as a file of commands leaves them: what is added, deleted, emptied.

A reader of such a file turns it into events. They are read twice: the first time tells which sets
there are, and what is taken out of them later; the second time gives the elements that are left.
So nothing but what is deleted is held in memory.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from geocache.addresses.blocks import is_entry
from geocache.blocklists.formats.base import BadLine, Element, Found, Options, Remark
from geocache.blocklists.formats.column_names import is_exempt_set
from geocache.blocklists.formats.firewalls.deletions import Deletions
from geocache.exceptions import ImportFailed

SHOWN_SETS: Final = 20
SHOWN_LETTERS: Final = 80
# An element with more parts than a firewall allows.
MAX_COMPONENTS: Final = 8
ALLOWS: Final = (
    "is a set of what is allowed, by its name or by a rule; choose it with --set if you mean it"
)
OWN_BANS: Final = "the bans of geocache itself are not read"
# How fail2ban names the sets that the actions of a jail fill, in nftables and ipset.
JAIL_SETS: Final = ("addr-set-{}", "addr6-set-{}", "f2b-{}", "f2b-{}6")


class Declare(NamedTuple):
    """A set, and whether its elements have addresses."""

    name: str
    holds_addresses: bool


class Add(NamedTuple):
    """An element of a set; ``rest`` is what it names beside its address, such as a port."""

    line_number: int
    name: str
    text: str
    comment: str = ""
    rest: str = ""
    # Why it is not an entry.
    problem: str = ""


class Delete(NamedTuple):
    """An element that is no longer in its set; ``is_exact``: those inside it stay."""

    line_number: int
    name: str
    text: str
    rest: str = ""
    is_exact: bool = False


class Clear(NamedTuple):
    """A set, or all sets of which the name begins with these words, have no elements any more."""

    scope: str = ""


class Allow(NamedTuple):
    """A rule lets those of a set through."""

    name: str


class Swap(NamedTuple):
    """Two sets exchange what they hold."""

    first: str
    second: str


class Rename(NamedTuple):
    """A set has another name."""

    old: str
    new: str


Event = Declare | Add | Allow | Delete | Clear | Swap | Rename | BadLine | Remark
# Gives the events of a file from its start.
Events = Callable[[], Iterable[Event]]


def read_sets(events: Events, options: Options) -> Iterator[Found]:
    """Give the elements of all sets of addresses, or of the one that is named.

    Unless it is named, a set of what is allowed, by its name or by a rule, is a bad line.
    """
    survey = _Survey(events())
    first_positions = survey.choose(options)
    if any(_is_own(name, options) for name in survey.names()):
        yield Remark(OWN_BANS)
    contents = _Contents()
    for position, event in enumerate(events()):
        if isinstance(event, Add | Delete):
            content = contents.of(event.name)
            if position >= first_positions.get(content, position + 1):
                yield from survey.found(event, content, position)
            elif name := survey.allowing.pop(content, ""):
                yield BadLine(event.line_number, name, ALLOWS)
        elif isinstance(event, BadLine | Remark):
            yield event
        else:
            contents.follow(event)


class _Contents:
    """Which content a name stands for: sets are renamed and exchange what they hold."""

    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}
        self._count = 0

    def of(self, name: str) -> int:
        content = self.by_name.get(name)
        if content is None:
            content = self.by_name[name] = self._count
            self._count += 1
        return content

    def follow(self, event: Allow | Declare | Clear | Swap | Rename) -> None:
        match event:
            case Declare(name, _) | Allow(name):
                self.of(name)
            case Swap(first, second):
                one, other = self.of(first), self.of(second)
                self.by_name[first], self.by_name[second] = other, one
            case Rename(old, new):
                self.by_name[new] = self.of(old)
                del self.by_name[old]


class _Survey:
    """What the first reading tells."""

    def __init__(self, events: Iterable[Event]) -> None:
        # What ``choose`` leaves out for its name, or for a rule that lets it through.
        self.allowing: dict[int, str] = {}
        self._contents = _Contents()
        self._without_addresses: set[int] = set()
        self._let_through: set[int] = set()
        # When a set, or all whose names begin so, was emptied last.
        self._cleared: dict[int | str, int] = {}
        self._deletions: dict[tuple[int, str], Deletions] = {}
        for position, event in enumerate(events):
            if isinstance(event, Add):
                self._contents.of(event.name)
            elif not isinstance(event, BadLine | Remark):
                self._note(event, position)

    def _note(self, event: Allow | Declare | Delete | Clear | Swap | Rename, position: int) -> None:
        contents = self._contents
        match event:
            case Declare(name, True):
                self._without_addresses.discard(contents.of(name))
            case Allow(name):
                self._let_through.add(contents.of(name))
            case Declare(name, False):
                self._without_addresses.add(contents.of(name))
            case Delete(_, name, text, rest, is_exact):
                key = contents.of(name), rest
                found = self._deletions.setdefault(key, Deletions(is_exact=is_exact))
                found.add(text, position)
            case Clear(scope):
                self._cleared[contents.by_name.get(scope, scope)] = position
            case _:
                contents.follow(event)

    def names(self) -> Iterable[str]:
        return self._contents.by_name

    def choose(self, options: Options) -> dict[int, int]:
        """Return the contents that are read, and from which place in the file on."""
        held = {
            name: content
            for name, content in self._contents.by_name.items()
            if content not in self._without_addresses and not _is_own(name, options)
        }
        chosen = {name: one for name, one in held.items() if _is_named(name, options.set_name)}
        if options.set_name and not chosen:
            raise ImportFailed(
                f"no set of addresses in it is named {options.set_name[:SHOWN_LETTERS]!r};"
                f" {_listed(held)}"
            )
        if not options.set_name:
            self.allowing = {
                one: name
                for name, one in chosen.items()
                if one in self._let_through or is_exempt_set(name)
            }
        return {
            content: self._first(name, content)
            for name, content in chosen.items()
            if content not in self.allowing
        }

    def _first(self, name: str, content: int) -> int:
        family, _, rest = name.partition(" ")
        table = f"{family} {rest.partition(' ')[0]}"
        scopes = (content, "", family, table, name)
        return max(self._cleared.get(one, -1) for one in scopes) + 1

    def found(self, event: Add | Delete, content: int, position: int) -> Iterator[Found]:
        """Give what is left of an element."""
        if isinstance(event, Delete):
            if not is_entry(event.text):
                yield BadLine(event.line_number, event.text, "is deleted, but is not an address")
            return
        line_number, _, text, comment, rest, problem = event
        deletions = self._deletions.get((content, rest))
        if problem:
            yield BadLine(line_number, text, problem)
            return
        left = deletions.left(text, position) if deletions else "all"
        if left == "all":
            yield Element(line_number, (text,), None, comment.replace("\n", " "))
        elif left == "part":
            yield BadLine(line_number, text, "is deleted in part, later in the file")


def _is_own(name: str, options: Options) -> bool:
    """Tell whether geocache bans with the set: what it bans would keep itself banned."""
    if options.own_table and f"{name} ".startswith(f"{options.own_table} "):
        return True
    own = [one.format(options.own_jail) for one in JAIL_SETS if options.own_jail]
    return name.rpartition(" ")[2] in own


def _is_named(name: str, wanted: str) -> bool:
    """Tell whether ``wanted`` is the name of a set, or the last words of it."""
    return not wanted or name == wanted or name.endswith(f" {wanted}")


def _listed(held: Iterable[str]) -> str:
    names = sorted(name[:SHOWN_LETTERS] for name in held)
    shown = ", ".join(names[:SHOWN_SETS]) + (", …" if len(names) > SHOWN_SETS else "")
    return f"there are: {shown}" if names else "there is none at all"


def split_components(parts: list[str]) -> tuple[str, str, str]:
    """Return the address of an element of several parts, the others, and why it is not an entry."""
    text, rest = parts[0], " . ".join(parts[1:])
    if not rest:
        return text, "", ""
    if not is_entry(text):
        return " . ".join(parts), "", "does not begin with an address"
    if len(parts) > MAX_COMPONENTS or any(map(is_entry, parts[1:])):
        return " . ".join(parts), "", "has several addresses"
    return text, rest, ""
