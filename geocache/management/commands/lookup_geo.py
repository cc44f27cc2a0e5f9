"""``manage.py lookup_geo``: where are these addresses?"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO, Final

from django.core.management.base import CommandError, CommandParser

from geocache import providers, store
from geocache.locations import UNAVAILABLE, Location
from geocache.lookup import lookup_many
from geocache.management import lines, progress
from geocache.management.arguments import add_json
from geocache.management.lines import Line
from geocache.management.shells import ShellCommand
from geocache.management.tables import Column, Table
from geocache.models import Reason

# Lines that are answered together: bounds memory, whatever the length of the file.
CHUNK_LINES: Final = 1000
COLUMNS: Final = (
    Column("ADDRESS"),
    Column("COUNTRY"),
    Column("PLACE", 32),
    Column("NETWORK"),
    Column("OPERATOR", 30),
)


class Command(ShellCommand):
    """Answer addresses from arguments and a file."""

    help = (
        "Say where IP addresses are. Prints a table, or with --json one JSON object a line. "
        "Whatever is no address is named on stderr, the others are answered, and the exit code "
        "is 1. New answers are remembered."
    )
    examples = """\
  manage.py lookup_geo 8.8.8.8 2001:4860:4860::8888
  manage.py lookup_geo --file banned.txt
  manage.py lookup_geo --json --file - < access.log | jq -r .country_code | sort | uniq -c
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take addresses, a file, or both."""
        parser.add_argument(
            "addresses", nargs="*", metavar="ADDRESS", help="an IPv4 or IPv6 address"
        )
        parser.add_argument(
            "--file",
            metavar="PATH",
            help="text with one address first on each line, - for standard input; blank lines and "
            "what stands behind a # are passed over",
        )
        add_json(parser, "one JSON object a line")

    def handle(self, *, addresses: list[str], file: str | None, is_json: bool, **_: Any) -> None:
        """Answer in chunks; exit 1 when there was something that could not be answered."""
        if not addresses and file is None:
            raise CommandError("Name at least one address, or a file of addresses with --file.")
        # One line now instead of a million answers that are all "not available".
        providers.current().build()
        writer = Writer(self, is_json=is_json)
        writer.write(lines.from_arguments(addresses))
        if file is not None:
            with lines.opened(file) as opened:
                writer.write(lines.from_file(_with_progress(opened)))
        if writer.unavailable_count:
            self.stderr.write(
                f"{writer.unavailable_count:,} could not be answered: the provider failed"
            )
        if writer.stale_count:
            self.stderr.write(f"{writer.stale_count:,} may be out of date: the provider failed")
        if writer.problem_count or writer.unavailable_count:
            sys.exit(1)


class Writer:
    """Write answers in the order of their lines, and count what went wrong."""

    def __init__(self, command: ShellCommand, *, is_json: bool) -> None:
        self.command = command
        self.is_json = is_json
        self.table: Table | None = None
        self.problem_count = 0
        self.unavailable_count = 0
        self.stale_count = 0

    def write(self, all_lines: Iterable[Line]) -> None:
        """Answer chunk by chunk."""
        iterator = iter(all_lines)
        while chunk := list(islice(iterator, CHUNK_LINES)):
            # Kept for pages, where the same few addresses come again; a long file only fills it.
            store.memory.clear()
            self._report([line.problem for line in chunk if line.problem])
            self._answer([line.address for line in chunk if not line.problem])

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
        if locations:
            texts = map(_json, locations) if self.is_json else self._table_lines(locations)
            self.command.stdout.write("\n".join(texts))

    def _table_lines(self, locations: list[Location]) -> Iterator[str]:
        rows = [_row(location) for location in locations]
        if self.table is None:
            self.table = Table(COLUMNS, rows)
            yield self.command.style.MIGRATE_HEADING(self.table.heading())
        yield from map(self.table.line, rows)


def _json(location: Location) -> str:
    return json.dumps(location.to_plain())


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


def _with_progress(file: BinaryIO) -> Iterator[bytes]:
    # On a terminal the answers themselves show how far it is.
    with progress.bar(
        total=os.fstat(file.fileno()).st_size or None,
        label="Addresses",
        unit="B",
        is_wanted=not sys.stdout.isatty(),
        delay_seconds=0.5,
    ) as bar:
        for raw in lines.split(file):
            yield raw
            bar.update(len(raw))
