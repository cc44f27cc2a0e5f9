"""Answers as people and programs read them on a terminal: a table, or one JSON object a line."""

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Final

from django.utils import timezone

from geocache import conf
from geocache.history.spans import Span, answer_on
from geocache.labels import labelled
from geocache.location import UNAVAILABLE, Location
from geocache.lookup import lookup_many
from geocache.lookup.memory import memory
from geocache.management import progress
from geocache.management.address_chunk import Chunk
from geocache.management.base_command import ShellCommand
from geocache.management.text_tables import Column, Table
from geocache.models import Reason
from geocache.place_names import in_language
from geocache.providers.credits import Credits, credited
from geocache.trait_names import most_telling, trait_name

# Characters of lines that are kept; as JSON one has a thousand or so.
MOST_KEPT: Final = 32_000_000
COLUMNS: Final = (
    Column("ADDRESS"),
    Column("COUNTRY"),
    Column("PLACE", 32),
    Column("NETWORK"),
    Column("OPERATOR", 30),
)
PAST_COLUMNS: Final = (*COLUMNS[:-1], Column("VALID FROM"), Column("VALID UNTIL"), COLUMNS[-1])
# The last cell of each row. A table has the column from the first answer on that states one.
KIND: Final = Column("KIND", 60)


class Writer:
    """Write answers in the order of their lines, and count what went wrong."""

    columns: ClassVar[tuple[Column, ...]] = COLUMNS

    def __init__(self, command: ShellCommand, *, is_json: bool) -> None:
        self.command = command
        self.is_json = is_json
        # Names as they are stored.
        self.language: str | None = None
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
        # What is written for an address, until a moment on the monotonic clock.
        self._lines: dict[str, str] = {}
        self._lines_until = 0.0
        # Their characters.
        self._kept = 0

    def write(self, chunk: Chunk) -> None:
        """Look each address of a chunk up once, and write its answer as often as it is there."""
        self._report(chunk.problems)
        self.address_count += len(chunk.addresses)
        self.other_count += chunk.other_count
        if chunk.addresses:
            self._answer(chunk.addresses)

    def _report(self, problems: list[str]) -> None:
        self.problem_count += len(problems)
        if problems:
            with progress.cleared():
                self.command.stderr.write("\n".join(problems))

    def _answer(self, addresses: list[str]) -> None:
        self._forget_old()
        lines = self._lines
        located = _located([one for one in dict.fromkeys(addresses) if one not in lines])
        locations = self._named(located)
        self.shown_sources.update(one.source for one in locations)
        for location, text in zip(locations, self._texts(locations), strict=True):
            lines[location.address] = text
            self._kept += len(text)
        self._put(map(lines.__getitem__, addresses))
        if uncertain := [one for one in locations if one.reason == UNAVAILABLE or one.is_stale]:
            self._count_uncertain(uncertain, Counter(addresses))

    def _forget_old(self) -> None:
        # As the memory of a process, for which they stand: nine of ten lines of a log are of an
        # address that was there before.
        is_full = len(self._lines) >= conf.get("MEMORY_SIZE") or self._kept >= MOST_KEPT
        if is_full or time.monotonic() > self._lines_until:
            self._lines.clear()
            self._kept = 0
            self._lines_until = time.monotonic() + conf.get("MEMORY_TTL_SECONDS")

    def _count_uncertain(self, locations: list[Location], counts: Counter[str]) -> None:
        for one in locations:
            self.unavailable_count += counts[one.address] * (one.reason == UNAVAILABLE)
            self.stale_count += counts[one.address] * one.is_stale
            # The next chunk may have a better answer.
            del self._lines[one.address]

    def _texts(self, locations: list[Location]) -> Iterable[str]:
        """Return what is written for each."""
        if self.is_json:
            # One after the other: the dicts of a chunk would take more memory than all the rest.
            shown = labelled(locations)
            return (json.dumps(credited(one.to_plain(), self.thanks)) for one in shown)
        return self._formatted([_row(one) for one in labelled(locations)])

    def _named(self, locations: list[Location]) -> list[Location]:
        """Return the answers with names in the language that is asked for, if one is."""
        if self.language is None:
            return locations
        return [in_language(one, self.language) for one in locations]

    def finish(self) -> None:
        """Write the credits below a table; each object of JSON has its own."""
        lines = [] if self.is_json else self.thanks.of(sorted(self.shown_sources))
        if lines:
            self.command.stdout.write("\n".join(["", *lines]))

    def _formatted(self, shown: list[Any]) -> Iterable[str]:
        """Return a line for each: of plain JSON types, or a row of the table."""
        if self.is_json:
            return map(json.dumps, shown)
        has_kinds = any(row[-1] for row in shown)
        if shown and (self.table is None or (has_kinds and KIND not in self.table.columns)):
            self._begin_table(shown, has_kinds=has_kinds)
        if self.table is None:
            return ()
        width = len(self.table.columns)
        return [self.table.line(row[:width]) for row in shown]

    def _begin_table(self, shown: list[Any], *, has_kinds: bool) -> None:
        columns = (*self.columns, KIND) if has_kinds else self.columns
        self.table = Table(columns, [row[: len(columns)] for row in shown])
        heading = self.table.heading()
        self.command.stdout.write(self.command.style.MIGRATE_HEADING(heading))

    def _put(self, lines: Iterable[str]) -> None:
        """Write the lines of all addresses of a chunk."""
        if text := "\n".join(lines):
            self.command.stdout.write(text)


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
        answers = self._named([span.answer for span in known])
        known = [replace(span, answer=one) for span, one in zip(known, answers, strict=True)]
        self.shown_sources.update(span.answer.source for span in known)
        self._put(
            self._formatted(
                [self._plain(span) if self.is_json else _past_row(span) for span in known]
            )
        )

    def _plain(self, span: Span) -> dict[str, Any]:
        return credited(span.to_plain(), self.thanks) | {"on": self.day.isoformat()}


def _located(addresses: list[str]) -> list[Location]:
    # Kept for pages, where the same few addresses come again; a long file only fills it.
    memory.clear()
    return list(lookup_many(addresses).values())


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
        ", ".join(map(trait_name, most_telling(location.traits))),
    )


def _past_row(span: Span) -> tuple[str, ...]:
    *cells, organization, kind = _row(span.answer)
    until = _minute(span.valid_until) if span.valid_until else "-"
    return (*cells, _minute(span.valid_from), until, organization, kind)


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
