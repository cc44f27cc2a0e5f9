"""``manage.py lookup_geo``: where are these addresses, and where were they on a day?"""

import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import override

from geocache.management import address_input, progress
from geocache.management.address_chunk import Chunk
from geocache.management.answer_output import PastWriter, Writer
from geocache.management.base_command import ShellCommand
from geocache.management.options import add_json, language, past_day
from geocache.providers import factory


class Command(ShellCommand):
    """Answer addresses from arguments and a file."""

    help = (
        "Say where IP addresses are. Prints a table, or with --json one JSON object a line. "
        "What is not an address is named on stderr, the others are answered, and the exit code "
        "is 1; lines of a log that have no address are only counted. New answers are remembered. "
        "With --on: what the table knew of them when a day ended, from when and until when; no "
        "provider is asked, and an address of which nothing was known is named, too. With --count: "
        "how often each country is among them, instead of an answer for each. With --lang: names "
        "in that language, where the open databases have them."
    )
    needs_database = False
    examples = """\
  manage.py lookup_geo 8.8.8.8 2001:4860:4860::8888
  manage.py lookup_geo --file banned.txt
  manage.py lookup_geo --file auth.log.1.gz
  manage.py lookup_geo 81.2.69.142 --on 2026-10-01
  manage.py lookup_geo --count --file access.log
  manage.py lookup_geo --json --file - < access.log | jq -r .city | sort | uniq -c
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take addresses, a file, or both, and perhaps a day."""
        parser.add_argument(
            "addresses", nargs="*", metavar="ADDRESS", help="an IPv4 or IPv6 address"
        )
        parser.add_argument(
            "--file",
            metavar="PATH",
            help="a list, a log or any other text, also packed (gzip, bzip2, xz), - for standard "
            "input: every address in it is answered, in its order",
        )
        parser.add_argument(
            "--on",
            type=past_day,
            metavar="DAY",
            help="instead: what was known when this day of UTC ended, as 2026-10-01",
        )
        parser.add_argument(
            "--count",
            action="store_true",
            dest="is_counting",
            help="only count: how often each country is among the addresses",
        )
        parser.add_argument(
            "--lang",
            type=language,
            metavar="LANGUAGE",
            help="names of places in this language, as de or pt-BR (default: as they are stored)",
        )
        add_json(parser, "one JSON object a line")

    def handle(
        self,
        *,
        addresses: list[str],
        file: str | None,
        on: date | None,
        is_counting: bool,
        is_json: bool,
        **others: Any,
    ) -> None:
        """Answer in chunks."""
        if not addresses and file is None:
            raise CommandError("Name at least one address, or a file of addresses with --file.")
        if on is not None and is_counting:
            raise CommandError("Choose one of --on and --count.")
        writer = self._writer(on, is_counting=is_counting, is_json=is_json)
        writer.language = others["lang"]
        # Countries and reasons, too, which are otherwise in the language of the project.
        with override(writer.language) if writer.language else nullcontext():
            self._write(writer, addresses, file)

    def _write(self, writer: Writer, addresses: list[str], file: str | None) -> None:
        """Write all answers; exit 1 when there was something that could not be answered."""
        writer.write(address_input.from_arguments(addresses))
        if file is not None:
            with address_input.opened(file) as opened:
                try:
                    for chunk in _with_progress(opened):
                        writer.write(chunk)
                except CommandError:
                    # What was read counts.
                    writer.finish()
                    raise
        writer.finish()
        if writer.other_count:
            self.stderr.write(_others(writer.other_count))
        if writer.unavailable_count:
            self.stderr.write(
                f"{writer.unavailable_count:,} could not be answered: the provider failed"
            )
        if writer.stale_count:
            self.stderr.write(f"{writer.stale_count:,} may be out of date: the provider failed")
        is_empty = writer.other_count and not writer.address_count
        if writer.problem_count or writer.unavailable_count or is_empty:
            sys.exit(1)

    def _writer(self, on: date | None, *, is_counting: bool, is_json: bool) -> Writer:
        if on is None:
            # One line now instead of a million answers that are all "not available".
            factory.current().build()
            if is_counting:
                from geocache.management.count_output import (  # noqa: PLC0415 - for counts alone
                    CountWriter,
                )

                return CountWriter(self, is_json=is_json)
            return Writer(self, is_json=is_json)
        from geocache.status import database_problem  # noqa: PLC0415 - for the past alone

        if problem := database_problem():
            raise CommandError(f"Nothing was looked up: {problem}.")
        return PastWriter(self, on, is_json=is_json)


def _others(count: int) -> str:
    return "1 line has no IP address" if count == 1 else f"{count:,} lines have no IP address"


def _with_progress(file: BinaryIO) -> Iterator[Chunk]:
    # On a terminal the answers themselves show how far it is.
    with progress.bar(
        total=os.fstat(file.fileno()).st_size or None,
        label="Addresses",
        unit="B",
        is_wanted=not sys.stdout.isatty(),
        delay_seconds=0.5,
    ) as bar:
        yield from address_input.from_file(file, bar.update)
