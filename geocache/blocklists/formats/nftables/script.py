"""The language of nftables, as far as sets go: what ``nft list`` writes and ``nft -f`` reads."""

from collections.abc import Iterable, Iterator
from typing import Final

from geocache.blocklists.formats.base import BadLine
from geocache.blocklists.formats.firewalls.sets import Add, Allow, Clear, Declare, Delete, Event
from geocache.blocklists.formats.nftables.elements import Value, read_value
from geocache.blocklists.formats.nftables.names import (
    has_addresses,
    set_name,
    split_at_commas,
    table_name,
    without_shell,
)
from geocache.blocklists.formats.nftables.statements import Statements
from geocache.blocklists.formats.nftables.tokens import NEW_LINE
from geocache.exceptions import ImportFailed

TAKING: Final = frozenset(("delete", "destroy", "flush"))
DEFINING: Final = frozenset(("define", "redefine", "undefine", "include"))
SHOWING: Final = frozenset(("list", "get", "reset", "rename", "describe", "monitor", "export"))
COMMANDS: Final = frozenset(("add", "create", "insert", "replace")) | TAKING | DEFINING | SHOWING
STATEFUL: Final = frozenset(("counter", "quota", "limit", "last", "ct", "comment", "flags"))
# What a table holds beside sets, and what else may follow ``add``.
OTHER_OBJECTS: Final = STATEFUL | {"chain", "flowtable", "secmark", "synproxy", "tunnel", "meter"}
PARTS_OF_SETS: Final = STATEFUL | {"timeout", "gc-interval", "size", "policy", "auto-merge"}
# The elements of definitions, which may hold each other, and of their uses.
MAX_EXPANDED: Final = 1_000_000
IS_CUT_OFF: Final = "the file ends inside a block"
MAY_BE_CUT_OFF: Final = "the file ends with it: it may be cut off"
# The name of a set of which a file has only the inside.
FRAGMENT: Final = "elements"


class Script(Statements):
    """One reading of a file."""

    def __init__(self, chunks: Iterable[str], *, definitions_are_sets: bool = False) -> None:
        """Take each definition for a set where a file has nothing else."""
        super().__init__(chunks)
        self._definitions: dict[str, list[Value]] = {}
        self._definitions_are_sets = definitions_are_sets
        self._expanded_count = 0
        self.has_definitions = False
        self.has_other_than_definitions = False

    def events(self) -> Iterator[Event]:
        """Give what happens to sets, in the order of the file."""
        while self._end:
            yield from self._statements("")
            if self._end == "}":
                self.has_other_than_definitions = True
                yield BadLine(self._line, "}", "ends a block that did not begin")
                self._end = NEW_LINE
        if self._depth:
            yield BadLine(self._line, "", IS_CUT_OFF)

    def _statements(self, table: str) -> Iterator[Event]:
        """Read a table, or what stands outside of all, up to its brace or the end."""
        while self._end not in ("}", ""):
            words = self._statement()
            yield from self._remarks
            self._remarks.clear()
            if words:
                yield from self._command(words, table)
            elif self._end == "{":
                yield BadLine(self._line, "{", "is a block without a name")
            self._pass_over_block()
            yield from (Allow(set_name([name], table)) for name in sorted(self._allowed))
            self._allowed.clear()

    def _command(self, words: list[str], table: str) -> Iterator[Event]:
        """Read one command, or one object of a table."""
        words = words if table else without_shell(words)
        has_command = bool(words) and words[0] in COMMANDS
        command, objects = (words[0], words[1:]) if has_command else ("add", words)
        kind, names = (objects[0], objects[1:]) if objects else ("", [])
        if command == "include":
            yield BadLine(self._start, " ".join(words), "is not read: import that file itself")
        elif command == "undefine":
            self._definitions.pop(kind, None)
        elif command in ("define", "redefine"):
            yield from self._define(kind, names[1:])
        else:
            self.has_other_than_definitions = True
            if command in ("add", "create"):
                yield from self._add(kind, names, table)
            elif command in ("insert", "replace"):
                yield from self._add("rule", names, table)
            elif kind == "element" and command in ("delete", "destroy"):
                for add in self._adds(set_name(names, table), names[-1:]):
                    yield Delete(add.line_number, add.name, add.text, add.rest)
            elif command in TAKING:
                yield from self._clear(command, kind, names)

    def _add(self, kind: str, names: list[str], table: str) -> Iterator[Event]:
        if kind == "table" and not table:
            if self._end == "{":
                self._end = NEW_LINE
                yield from self._statements(table_name(names))
                self._close()
        elif kind == "set":
            yield from self._set(set_name(names, table))
        elif kind == "map":
            yield Declare(set_name(names, table), holds_addresses=False)
        elif kind == "element":
            yield from self._adds(set_name(names, table), names[-1:])
        elif kind == FRAGMENT and names[:1] == ["="]:
            yield from self._adds(FRAGMENT, names[1:])
        elif kind == "rule":
            self._read_rule(names)
            yield from (Allow(f"{table_name(names)} {name}") for name in sorted(self._allowed))
            self._allowed.clear()
        elif kind in ("type", "typeof"):
            yield Declare(FRAGMENT, has_addresses(kind, names))
        elif kind not in OTHER_OBJECTS | PARTS_OF_SETS:
            yield BadLine(self._start, " ".join([kind, *names]), "is not a command of nftables")

    def _clear(self, command: str, kind: str, names: list[str]) -> Iterator[Event]:
        if "handle" in names:
            yield BadLine(self._start, " ".join(names), "is not the name of what is deleted")
        elif kind == "ruleset":
            yield Clear(names[0] if names else "")
        elif kind == "set":
            yield Clear(set_name(names, ""))
        elif kind == "table" and command != "flush":
            # To flush a table takes its rules alone away.
            yield Clear(table_name(names))

    def _set(self, name: str) -> Iterator[Event]:
        yield Declare(name, holds_addresses=True)
        if self._end != "{":
            return
        self._end = NEW_LINE
        while self._end not in ("}", ""):
            match self._statement():
                case ["elements", "=", *values]:
                    yield from self._adds(name, values)
                case ["type" | "typeof" as kind, *words]:
                    yield Declare(name, has_addresses(kind, words))
                case [word, *_] as words if word not in PARTS_OF_SETS:
                    yield BadLine(self._start, " ".join(words), "is not a part of a set")
            self._pass_over_block()
        self._close()

    def _define(self, name: str, words: list[str]) -> Iterator[Event]:
        self.has_definitions = True
        held: list[Value] = []
        for value in self._expanded(self._values(words)):
            self._count_expanded(1)
            held.append(value)
        self._definitions[name] = held
        if self._definitions_are_sets:
            yield Declare(f"define {name}", holds_addresses=True)
            yield from (Add(value[0], f"define {name}", *value[1:5]) for value in held)

    def _adds(self, name: str, words: list[str]) -> Iterator[Add]:
        for line_number, text, comment, rest, problem, _ in self._expanded(self._values(words)):
            yield Add(line_number, name, text, comment, rest, problem)

    def _expanded(self, values: Iterable[Value]) -> Iterator[Value]:
        """Give the elements of a definition in its place."""
        for value in values:
            if not value.variable:
                yield value
            elif (defined := self._definitions.get(value.variable)) is None:
                yield value._replace(problem="is not defined in this file", variable="")
            else:
                self._count_expanded(len(defined))
                yield from defined

    def _count_expanded(self, count: int) -> None:
        self._expanded_count += count
        if self._expanded_count > MAX_EXPANDED:
            raise ImportFailed(f"its definitions hold more than {MAX_EXPANDED:,} elements")

    def _values(self, words: list[str]) -> Iterator[Value]:
        """Read the elements in braces, or the ``words`` that stand in their place."""
        if self._end == "{":
            yield from self._block()
        else:
            for part in split_at_commas(words):
                yield read_value(self._start, part)

    def _block(self) -> Iterator[Value]:
        """Read elements up to the brace that ends them; braces inside make no difference."""
        words: list[str] = []
        for sign in self._in_block(words):
            if not words:
                continue
            if sign:
                yield read_value(self._start, words)
            else:
                yield Value(self._start, " ".join(words), problem=MAY_BE_CUT_OFF)
            words.clear()
