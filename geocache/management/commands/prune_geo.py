"""``manage.py prune_geo``: remove what was not asked for, or what a licence wants gone."""

import json
import math
import os
from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser

from geocache.maintenance import licence
from geocache.maintenance.licence import LicenceReport
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
        "cache or the database cannot be used, or nothing says after how many days. With "
        "--licence: refresh or remove rows, history and replaced files of builds that their "
        "licence does not allow to be kept (GeoLite: 30 days), as the job geo_licence does."
    )
    examples = """\
  manage.py prune_geo --days 365 --dry-run
  manage.py prune_geo --time-limit 60 --json | jq .pruned
  manage.py prune_geo --licence --dry-run
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
            "--licence",
            action="store_true",
            dest="is_licence",
            help="instead: data that its licence does not allow to be kept, see docs/licences.md",
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
        is_licence: bool,
        is_dry_run: bool,
        time_limit: float | None,
        is_json: bool,
        **_: Any,
    ) -> None:
        """Prune once, or count."""
        if is_licence:
            if days:
                raise CommandError("--days does not go with --licence: each licence has its own.")
            self._clean_up(time_limit, is_dry_run=is_dry_run, is_json=is_json)
            return
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

    def _clean_up(self, time_limit: float | None, *, is_dry_run: bool, is_json: bool) -> None:
        if problem := database_problem():
            raise CommandError(f"Nothing was removed: {problem}.")
        if is_dry_run:
            due = licence.count_due()
            plain = {f"would_{name}": count for name, count in _figures(due).items()}
            self.stdout.write(json.dumps(plain) if is_json else _would(due))
            return
        with progress.bar(total=None, label="Cleaning", unit=" rows", delay_seconds=1) as bar:
            report = licence.clean_up(
                time_limit_seconds=math.inf if time_limit is None else time_limit,
                watch=bar.update,
            )
        self.stdout.write(json.dumps(msgspec.to_builtins(report)) if is_json else _done(report))
        after_flush()
        if not report.is_complete:
            raise CommandError("Some of it is left; run it again.", returncode=os.EX_TEMPFAIL)


def _figures(due: LicenceReport) -> dict[str, int]:
    return {
        "refresh_or_remove": due.removed,
        "remove_history": due.history,
        "remove_rejected": due.rejected,
        "remove_files": due.files,
    }


def _would(due: LicenceReport) -> str:
    return (
        f"{due.removed:,} rows would be refreshed, or removed where that cannot be; "
        f"{due.history:,} history entries, {due.rejected:,} rejected entries and {due.files:,} "
        "replaced files would be removed."
    )


def _done(report: LicenceReport) -> str:
    return (
        f"{report.refreshed:,} rows refreshed, {report.removed:,} removed; {report.history:,} "
        f"history entries, {report.rejected:,} rejected entries and {report.files:,} replaced "
        f"files removed, in {report.seconds:.2f} s."
    )


def _sentence(report: PruneReport) -> str:
    return f"{report.pruned:,} pruned, in {report.seconds:.2f} s."
