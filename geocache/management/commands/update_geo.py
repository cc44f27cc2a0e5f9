"""``manage.py update_geo``: fetch newer databases."""

import json
import os
import sys
from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser

from geocache.databases import update
from geocache.databases.update import FAILED, INSTALLED, Outcome
from geocache.exceptions import ProviderError, UpdateBusy
from geocache.history.moves import MoveReport, count_moves
from geocache.management import progress
from geocache.management.base_command import ShellCommand
from geocache.management.options import add_json
from geocache.models.connection import DATABASE_ERRORS


class Command(ShellCommand):
    """Fetch what is newer, and say what came."""

    help = (
        "Fetch newer databases into VAR_DIR/databases; running processes use them within a minute. "
        "Those of MaxMind where MAXMIND_ACCOUNT_ID and MAXMIND_LICENSE_KEY are set, else the free "
        "ones of DB-IP, or what GEOCACHE_UPDATE_URLS names. What has not changed is not fetched. "
        "Exit code 1: one could not be fetched, the present one stays in use; 75: another process "
        "is at it. Behind a new one it counts which known addresses moved, for up to a minute."
    )
    examples = """\
  manage.py update_geo
  manage.py update_geo --json | jq '.databases[].status'
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to ask in spite of earlier attempts, and the form of the output."""
        parser.add_argument(
            "--force",
            action="store_true",
            dest="is_forced",
            help="ask also where a service was asked too often today; it may count each time",
        )
        add_json(parser, "outcomes and moves as one JSON object")

    def handle(self, *, is_forced: bool, is_json: bool, **_: Any) -> None:
        """Update once; exit 1 when a database could not be fetched."""
        if not update.is_used():
            self.stderr.write(
                "GEOCACHE_DATABASES names other files: what comes is not used until that changes."
            )
        bars = Bars()
        try:
            outcomes = update.update_databases(is_forced=is_forced, watch=bars.show)
        except UpdateBusy as error:
            raise CommandError(
                f"Nothing was fetched: {error}.", returncode=os.EX_TEMPFAIL
            ) from error
        finally:
            bars.close()
        is_new = any(one.status == INSTALLED for one in outcomes) and update.is_used()
        moves = self._count_moves() if is_new else None
        if is_json:
            plain = msgspec.to_builtins({"databases": outcomes, "moves": moves})
            self.stdout.write(json.dumps(plain))
        for one in outcomes:
            if one.status == FAILED:
                self.stderr.write(f"{one.name} was not fetched: {one.detail}.")
            elif not is_json:
                self.stdout.write(_sentence(one))
        if moves and not is_json:
            self.stdout.write(_moves_sentence(moves))
        if any(one.status == FAILED for one in outcomes):
            self.stdout.flush()
            sys.exit(1)

    def _count_moves(self) -> MoveReport | None:
        try:
            with progress.bar(total=None, label="Comparing", unit=" rows", delay_seconds=1) as bar:
                return count_moves(watch=bar.update)
        except (ProviderError, *DATABASE_ERRORS) as error:
            # The update itself is done.
            self.stderr.write(f"Nobody knows how many addresses moved: {str(error).strip()}.")
            return None


class Bars:
    """A progress bar for each database in its turn."""

    def __init__(self) -> None:
        self.name = ""
        self.bar: progress.Bar | None = None

    def show(self, name: str, count: int, total: int | None) -> None:
        """Show how far the download of ``name`` is."""
        if self.bar is None or name != self.name:
            self.close()
            self.name = name
            self.bar = progress.bar(total=total, label=name, unit="B")
        self.bar.update(count - self.bar.n)

    def close(self) -> None:
        """End the last one."""
        if self.bar is not None:
            self.bar.close()


def _sentence(one: Outcome) -> str:
    if one.status == INSTALLED:
        fields = f" Its fields: {', '.join(one.fields)}." if one.fields else ""
        return f"{one.name}: {one.detail} is in use now.{fields}"
    return f"{one.name}: {one.detail} is the newest there is."


def _moves_sentence(moves: MoveReport) -> str:
    said = f"{moves.moved:,} of {moves.compared:,} known addresses moved"
    if moves.by_kind:
        counts = (f"{kind} {count:,}" for kind, count in moves.by_kind.items())
        said += f" ({', '.join(counts)})"
    if moves.is_complete:
        return f"{said}."
    return f"{said}; the others were not compared, the time was over."
