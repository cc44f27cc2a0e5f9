"""``manage.py flush_geo``: write the dirty answers to the table now."""

import json
import os
from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser

from geocache.cache import backends
from geocache.exceptions import PartlyFlushed
from geocache.instants import utc_now
from geocache.journal.flush import FlushReport, flush_dirty
from geocache.management.base_command import ShellCommand
from geocache.management.options import add_json, add_time_limit
from geocache.models import JobRun
from geocache.statistics.after_flush import after_flush
from geocache.status import database_problem


class Command(ShellCommand):
    """Flush and say what was flushed."""

    help = (
        "Write every answer that waits in the cache to the table; of several caches "
        "(CACHE_ALIASES), in each. Exit code 0: all were written; 75: the time limit left some, "
        "they stay in the cache; 1: a cache or the database cannot be used, nothing is lost, and "
        "the other caches were flushed."
    )
    examples = """\
  manage.py flush_geo
  manage.py flush_geo --time-limit 10
  manage.py flush_geo --cache group_b
  manage.py flush_geo --json | jq .flushed
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the time limit, one cache of several, and the form of the output."""
        add_time_limit(parser, default="the setting FLUSH_TIME_LIMIT_SECONDS")
        parser.add_argument(
            "--cache",
            metavar="ALIAS",
            help="only the cache with this alias in CACHES (default: all of CACHE_ALIASES)",
        )
        add_json(parser)

    def handle(
        self, *, time_limit: float | None, cache: str | None, is_json: bool, **_: Any
    ) -> None:
        """Flush once."""
        if problem := database_problem():
            raise CommandError(f"Nothing was flushed: {problem}.")
        if cache is not None and cache not in (known := backends.journal_aliases()):
            raise CommandError(f"--cache is {cache!r}; it has to be one of {', '.join(known)}.")
        started_at = utc_now()
        try:
            report = flush_dirty(time_limit, alias=cache)
        except PartlyFlushed:
            after_flush()
            raise
        figures = msgspec.to_builtins(report)
        if lost_count := figures.pop("lost"):
            self.stderr.write(f"The cache has lost {lost_count:,} records before this flush.")
        self.stdout.write(json.dumps(figures) if is_json else _sentence(report))
        after_flush()
        # Where cron runs this command, pages show that the flush is scheduled.
        JobRun.note("geo_cache_flush", started_at=started_at, seconds=report.seconds)
        if report.timed_out:
            raise CommandError(
                f"The time limit left {report.pending:,} answers; they stay in the cache.",
                returncode=os.EX_TEMPFAIL,
            )


def _sentence(report: FlushReport) -> str:
    return (
        f"{report.flushed:,} flushed, {report.rejected:,} rejected, {report.pending:,} pending, "
        f"in {report.seconds:.2f} s."
    )
