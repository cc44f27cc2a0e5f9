"""``manage.py prune_geo``: remove what nobody has asked for."""

import json
import math
import os
from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser

from geocache.maintenance.prune import PruneReport, count_unseen, prune, retention_days
from geocache.management import options, progress
from geocache.management.base_command import ShellCommand
from geocache.statistics.after_flush import after_flush
from geocache.status import database_problem


class Command(ShellCommand):
    """Prune and say what was removed."""

    help = (
        "Remove the rows that nobody has asked for in RETENTION_DAYS or --days, with their hot "
        "entries. Exit code 0: none is left; 75: the time limit left some; 1: the provider, the "
        "cache or the database cannot be used, or nothing says after how many days."
    )
    examples = """\
  manage.py prune_geo --days 365 --dry-run
  manage.py prune_geo --time-limit 60 --json | jq .pruned
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the days and the limit."""
        parser.add_argument(
            "--days",
            type=options.days,
            metavar="N",
            help="remove what nobody has asked for in so many days (default: RETENTION_DAYS)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", dest="is_dry_run", help="only count the rows"
        )
        options.add_time_limit(parser)
        options.add_json(parser)

    def handle(
        self,
        *,
        days: int | None,
        is_dry_run: bool,
        time_limit: float | None,
        is_json: bool,
        **_: Any,
    ) -> None:
        """Prune once, or count."""
        days = days or retention_days()
        if not days:
            raise CommandError("Say with --days N, or set RETENTION_DAYS: rows are kept for ever.")
        if problem := database_problem():
            raise CommandError(f"Nothing was pruned: {problem}.")
        if is_dry_run:
            count = count_unseen(days)
            text = f"{count:,} would be pruned: nobody has asked for them in {days:,} days."
            self.stdout.write(json.dumps({"would_prune": count}) if is_json else text)
            return
        with progress.bar(total=None, label="Pruning", unit=" rows", delay_seconds=1) as bar:
            report = prune(
                days=days,
                time_limit_seconds=math.inf if time_limit is None else time_limit,
                watch=bar.update,
            )
        self.stdout.write(json.dumps(msgspec.to_builtins(report)) if is_json else _sentence(report))
        after_flush()
        if not report.is_complete:
            raise CommandError("Some rows are left; run it again.", returncode=os.EX_TEMPFAIL)


def _sentence(report: PruneReport) -> str:
    return f"{report.pruned:,} pruned, in {report.seconds:.2f} s."
