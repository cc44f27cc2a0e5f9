"""``manage.py refresh_geo``: resolve rows again that may be wrong by now."""

import json
import math
import os
from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser

from geocache.exceptions import MeteredProvider
from geocache.maintenance.refresh import RefreshReport, refresh
from geocache.management import progress
from geocache.management.base_command import ShellCommand
from geocache.management.options import add_json, add_time_limit, count
from geocache.statistics.after_flush import after_flush
from geocache.status import database_problem


class Command(ShellCommand):
    """Refresh and say what was refreshed."""

    help = (
        "Resolve rows again that come from an older build of the database, are older than "
        "ROW_TTL_SECONDS, or of which nothing was known, each after a growing pause. Exit code 0: "
        "none is left; 75: the time limit, --limit or the budget left some, or the provider failed "
        "on them; 1: the provider, the cache or the database cannot be used, or a provider that "
        "costs is not allowed by --metered."
    )
    examples = """\
  manage.py refresh_geo
  manage.py refresh_geo --time-limit 60 --json | jq .resolved
  manage.py refresh_geo --metered --limit 500
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the limits."""
        add_time_limit(parser)
        parser.add_argument(
            "--limit", type=count, metavar="ROWS", help="resolve no more than so many rows"
        )
        parser.add_argument(
            "--metered",
            action="store_true",
            dest="is_metered",
            help="also ask a provider whose answers may cost something; needs --limit",
        )
        add_json(parser)

    def handle(
        self,
        *,
        time_limit: float | None,
        limit: int | None,
        is_metered: bool,
        is_json: bool,
        **_: Any,
    ) -> None:
        """Refresh once."""
        if is_metered and limit is None:
            raise CommandError("Say with --limit how many answers --metered may cost.")
        if problem := database_problem():
            raise CommandError(f"Nothing was refreshed: {problem}.")
        try:
            with progress.bar(
                total=limit, label="Refreshing", unit=" rows", delay_seconds=1
            ) as bar:
                report = refresh(
                    time_limit_seconds=math.inf if time_limit is None else time_limit,
                    limit=limit,
                    is_metered=is_metered,
                    watch=bar.update,
                )
        except MeteredProvider as error:
            raise CommandError(f"{error}. Allow it with --metered --limit ROWS.") from error
        self.stdout.write(json.dumps(msgspec.to_builtins(report)) if is_json else _sentence(report))
        after_flush()
        if not report.is_complete:
            raise CommandError("Some rows may be left; run it again.", returncode=os.EX_TEMPFAIL)


def _sentence(report: RefreshReport) -> str:
    return f"{report.resolved:,} resolved, {report.failed:,} failed, in {report.seconds:.2f} s."
