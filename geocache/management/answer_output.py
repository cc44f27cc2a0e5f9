"""Answers as people and programs read them on a terminal: a table, or one JSON object a line."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, ClassVar, Final

from django.utils import timezone

from geocache.history.spans import Span, answer_on
from geocache.location import UNAVAILABLE, Location
from geocache.lookup import lookup_many
from geocache.lookup.memory import memory
from geocache.management import progress
from geocache.management.address_input import Line
from geocache.management.base_command import ShellCommand
from geocache.management.text_tables import Column, Table
from geocache.models import Reason
from geocache.providers.credits import Credits, credited

# Lines that are answered together: bounds memory, whatever the length of the file.
CHUNK_LINES: Final = 1000
COLUMNS: Final = (
    Column("ADDRESS"),
    Column("COUNTRY"),
    Column("PLACE", 32),
    Column("NETWORK"),
    Column("OPERATOR", 30),
)
PAST_COLUMNS: Final = (*COLUMNS[:-1], Column("VALID FROM"), Column("VALID UNTIL"), COLUMNS[-1])


class Writer:
    """Write answers in the order of their lines, and count what went wrong."""

    columns: ClassVar[tuple[Column, ...]] = COLUMNS

    def __init__(self, command: ShellCommand, *, is_json: bool) -> None:
        self.command = command
        self.is_json = is_json
        self.table: Table | None = None
        self.problem_count = 0
        self.address_count = 0
        # Lines without address that need not have one.
        self.other_count = 0
        self.unavailable_count = 0
        self.stale_count = 0
        self.thanks = Credits()
        # What the rows of the table came from.
        self.shown_sources: set[str] = set()

    def write(self, all_lines: Iterable[Line]) -> None:
        """Answer chunk by chunk."""
        iterator = iter(all_lines)
        while chunk := list(islice(iterator, CHUNK_LINES)):
            # Kept for pages, where the same few addresses come again; a long file only fills it.
            memory.clear()
            self._report([line.problem for line in chunk if line.problem])
            addresses = [line.address for line in chunk if line.address]
            self.address_count += len(addresses)
            self.other_count += sum(not (line.problem or line.address) for line in chunk)
            self._answer(addresses)

    def _report(self, problems: list[str]) -> None:
        self.problem_count += len(problems)
        if problems:
            with progress.cleared():
                self.command.stderr.write("\n".join(problems))

    def _answer(self, addresses: list[str]) -> None:
        answers = lookup_many(addresses)
        locations = [answers[address] for address in addresses]
        self.unavailable_count += sum(one.reason == UNAVAILABLE for one in locations)
        self.stale_count += sum(one.is_stale for one in locations)
        self.shown_sources.update(one.source for one in locations)
        self._show(
            credited(one.to_plain(), self.thanks) if self.is_json else _row(one)
            for one in locations
        )

    def write_credits(self) -> None:
        """Write the credits below a table; each object of JSON has its own."""
        lines = [] if self.is_json else self.thanks.of(sorted(self.shown_sources))
        if lines:
            self.command.stdout.write("\n".join(["", *lines]))

    def _show(self, shown: Iterable[Any]) -> None:
        """Write plain JSON types, or rows of the table."""
        texts = list(map(json.dumps, shown) if self.is_json else self._table_lines(list(shown)))
        if texts:
            self.command.stdout.write("\n".join(texts))

    def _table_lines(self, rows: list[tuple[str, ...]]) -> Iterator[str]:
        if self.table is None and rows:
            self.table = Table(self.columns, rows)
            yield self.command.style.MIGRATE_HEADING(self.table.heading())
        if self.table is not None:
            yield from map(self.table.line, rows)


class PastWriter(Writer):
    """Write what the table knew when a day of UTC ended."""

    columns: ClassVar[tuple[Column, ...]] = PAST_COLUMNS

    def __init__(self, command: ShellCommand, day: date, *, is_json: bool) -> None:
        super().__init__(command, is_json=is_json)
        self.day = day

    def _answer(self, addresses: list[str]) -> None:
        with timezone.override(UTC):
            spans = [answer_on(address, self.day) for address in addresses]
        self._report(
            [
                f"Nothing was known about {address} on {self.day}."
                for address, span in zip(addresses, spans, strict=True)
                if span is None
            ]
        )
        known = [span for span in spans if span is not None]
        self.shown_sources.update(span.answer.source for span in known)
        self._show(self._plain(span) if self.is_json else _past_row(span) for span in known)

    def _plain(self, span: Span) -> dict[str, Any]:
        return credited(span.to_plain(), self.thanks) | {"on": self.day.isoformat()}


def _row(location: Location) -> tuple[str, ...]:
    names = (location.city, location.region)
    place = ", ".join(dict.fromkeys(name for name in names if name))
    if not location:
        place = f"({Reason(location.reason).label})"
    return (
        location.address,
        location.country_code or "-",
        place or "-",
        location.network or "-",
        # Nothing but spaces would stand behind it: rows stay narrow without this database.
        location.organization,
    )


def _past_row(span: Span) -> tuple[str, ...]:
    *cells, organization = _row(span.answer)
    until = _minute(span.valid_until) if span.valid_until else "-"
    return (*cells, _minute(span.valid_from), until, organization)


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
