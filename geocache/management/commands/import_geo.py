"""``manage.py import_geo``: lists of addresses into the table, each content once."""

import json
import os
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Final

import msgspec
from django.core.management.base import CommandError, CommandParser

from geocache.bans import apply as bans
from geocache.bans.protection import described
from geocache.blocklists import apply, sources
from geocache.blocklists.formats.detect import format_names
from geocache.blocklists.import_options import FIELDS, options_of
from geocache.blocklists.outcome import APPLIED, COMPARED, UNCHANGED, WARMED, Outcome, Progress
from geocache.blocklists.sources import Content, Origin
from geocache.exceptions import BanError, ImportBusy, ImportFailed
from geocache.labels import give_label, label_problem
from geocache.management import progress
from geocache.management.base_command import ShellCommand
from geocache.management.options import add_json
from geocache.status import database_problem

# How long one waits for another import of the same list.
WAIT_SECONDS: Final = 60.0


class Command(ShellCommand):
    """Import lists one after the other, and say what is new on each."""

    help = (
        "Import lists of addresses and networks: plain lists with counts and comments, CSV, "
        "JSON, a log or the database of fail2ban, dumps of nftables and ipset; packed with gzip, "
        "bzip2 or xz, or not. A content that was the last to be applied is not applied again, and "
        "an import that was interrupted goes on where it was. Exit code 1: a list was not applied; "
        "75: another process is importing it."
    )
    examples = """\
  manage.py import_geo /srv/ipsum.txt /srv/drop.json
  manage.py import_geo https://lists.example.org/banned.netset --name banned
  zcat old.gz | manage.py import_geo - --name old --dry-run
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take lists, and what to do with them."""
        parser.add_argument(
            "places",
            nargs="+",
            metavar="SOURCE",
            help="a file, - for standard input, a URL of a host in IMPORT_HOSTS, or a name in "
            "IMPORT_SOURCES",
        )
        parser.add_argument(
            "--name",
            default="",
            help="what the list is called (default: the name of its file); imports of one name "
            "are compared with each other",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            dest="is_dry",
            help="say what would be added and removed, and write nothing",
        )
        parser.add_argument(
            "--warm",
            action="store_true",
            dest="is_warming",
            help="only look all addresses up, so that the table knows where they are",
        )
        parser.add_argument(
            "--label",
            type=_label,
            help="have every address that is on the list, alone or inside a network, shown with "
            "this label, such as vpn, tor, cloud or bot; it stays until another is given, and wins "
            'over IMPORT_OPTIONS. --label "" takes it away',
        )
        self._add_reading(parser)
        add_json(parser, "the outcomes as one JSON list")

    def _add_reading(self, parser: CommandParser) -> None:
        """Take how lists are read, where that cannot be told from them."""
        reading = parser.add_argument_group(
            "reading", "Each wins over IMPORT_OPTIONS, where a list has options of its own."
        )
        names = ", ".join(f'"{name}"' for name in format_names())
        reading.add_argument(
            "--format",
            default="",
            dest="format_name",
            metavar="NAME",
            help=f"what the list is written in (default: told by how it begins): {names}",
        )
        reading.add_argument(
            "--column",
            default="",
            help="the column of a table that holds the addresses: its name, or its number from 1; "
            "two of them as start-end for ranges",
        )
        reading.add_argument(
            "--score-column",
            default="",
            metavar="COLUMN",
            help="the column of a table that holds scores or counts",
        )
        reading.add_argument(
            "--set",
            default="",
            dest="set_name",
            metavar="SET",
            help='the one set of nftables or ipset that is read, as "blocked" or '
            '"inet filter blocked" (default: all of them)',
        )
        reading.add_argument(
            "--allow-empty",
            action="store_true",
            help="accept a list that is empty on purpose: all of its entries are removed. A file "
            "of no bytes, one with bad lines only and the page of an error stay refused",
        )

    def handle(
        self,
        *,
        places: list[str],
        name: str,
        is_dry: bool,
        is_warming: bool,
        is_json: bool,
        **options: Any,
    ) -> None:
        """Import each; exit 1 when one failed, 75 when one only has to wait."""
        if name and len(places) > 1:
            raise CommandError("Give --name with one source only.")
        if is_dry and is_warming:
            raise CommandError("Choose one of --dry-run and --warm.")
        if problem := database_problem():
            raise CommandError(f"Nothing was imported: {problem}.")
        do = apply.compare if is_dry else apply.warm if is_warming else _apply
        outcomes, codes = [], set[int]()
        for place in places:
            try:
                outcomes.append(outcome := self._one(place, name, do, options))
            except (ImportFailed, BanError) as error:
                codes.add(os.EX_TEMPFAIL if isinstance(error, ImportBusy) else 1)
                self.stderr.write(f"{sources.shown_place(place)} was not imported: {error}.")
                continue
            if not is_json:
                self._say(outcome)
                self._say_label(do, options["label"])
        if codes and do is _apply:
            self._apply_bans(is_json=is_json)
        if is_json:
            self.stdout.write(json.dumps(msgspec.to_builtins(outcomes)))
        if codes:
            self.stdout.flush()
            sys.exit(1 if 1 in codes else os.EX_TEMPFAIL)

    def _one(
        self, place: str, name: str, do: Callable[..., Outcome], options: dict[str, Any]
    ) -> Outcome:
        given = {field: options[field] for field in FIELDS.values()}
        outcome = self._done(sources.find_origin(place, name), do, given)
        if do is _apply and options["label"] is not None:
            give_label(outcome.name, options["label"])
        return outcome

    def _done(self, origin: Origin, do: Callable[..., Outcome], given: dict[str, Any]) -> Outcome:
        origin = replace(origin, options=options_of(origin.name, given))
        # What is to be banned still is no reason to be told that nothing has changed.
        is_conditional = do is _apply and not bans.are_due()
        with (
            _fetching(origin) as show,
            sources.content_of(origin, is_conditional=is_conditional, progress=show) as content,
        ):
            if content is None:
                return apply.import_content(origin, None)
            with _bars(content) as bars:
                if do is _apply:
                    return _apply(origin, content, bars)
                return do(origin, content.spooled, bars)

    def _apply_bans(self, *, is_json: bool) -> None:
        """Apply the bans that no import has applied: those of a deleted list have to end."""
        try:
            report = bans.apply_bans()
        except BanError as error:
            self.stderr.write(f"Bans were not applied: {error}.")
            return
        if (report.banned or report.unbanned) and not is_json:
            self.stdout.write(f"{report.banned:,} banned, {report.unbanned:,} bans ended.")

    def _say_label(self, do: Callable[..., Outcome], label: str | None) -> None:
        if do is _apply and label is not None:
            self.stdout.write(
                f"  Labelled by hand: {label}." if label else "  No longer labelled by hand."
            )

    def _say(self, one: Outcome) -> None:
        changed = f", {one.changed_count:,} with another score or comment"
        self.stdout.write(
            SENTENCES[one.status].format(one=one, changed=changed if one.changed_count else "")
        )
        if one.banned_count or one.unbanned_count:
            self.stdout.write(f"  {one.banned_count:,} banned, {one.unbanned_count:,} bans ended.")
        if one.skipped_counts:
            self.stdout.write(f"  {described(one.skipped_counts)}.")
        if one.bad_count and one.status != UNCHANGED:
            shown = "; ".join(one.bad_lines)
            lines = "line" if one.bad_count == 1 else "lines"
            self.stderr.write(f"{one.name}: {one.bad_count:,} bad {lines} passed over: {shown}")


SENTENCES: Final = {
    APPLIED: (
        "{one.name}: {one.added_count:,} added, {one.removed_count:,} removed{changed}, "
        "{one.entry_count:,} are listed ({one.format_name}), in {one.seconds:.2f} s."
    ),
    UNCHANGED: "{one.name}: nothing has changed, {one.entry_count:,} are listed.",
    COMPARED: (
        "{one.name}: {one.added_count:,} would be added and "
        "{one.removed_count:,} removed{changed}, "
        "{one.entry_count:,} would be listed ({one.format_name})."
    ),
    WARMED: "{one.name}: {one.entry_count:,} looked up; nothing was applied.",
}


def _label(text: str) -> str:
    """Return a label, or the empty text; raise ``ArgumentTypeError``."""
    if text and (problem := label_problem(text)):
        raise ArgumentTypeError(problem)
    return text


def _apply(origin: Origin, content: Content, bars: Progress) -> Outcome:
    return apply.import_content(origin, content, wait_seconds=WAIT_SECONDS, progress=bars)


@contextmanager
def _fetching(origin: Origin) -> Iterator[Callable[[int, int | None], object]]:
    """Show how far a download is."""
    with progress.bar(
        total=None, label="Fetching", unit="B", is_wanted=origin.is_url, delay_seconds=0.5
    ) as bar:

        def show(count: int, total: int | None) -> None:
            bar.total = total
            bar.update(count - bar.n)

        yield show


@contextmanager
def _bars(content: Content) -> Iterator[Progress]:
    """Show how much is read, and then how much of it is applied."""
    with ExitStack() as stack:
        reading = stack.enter_context(
            progress.bar(
                total=content.spooled.byte_count, label="Reading", unit="B", delay_seconds=0.5
            )
        )
        applying = stack.enter_context(
            progress.bar(total=None, label="Applying", unit=" entries", delay_seconds=0.5)
        )
        yield Progress(read=reading.update, compared=applying.update, total=applying.reset)
