"""``manage.py locate_geo``: fill in where the addresses of a host's objects are, or were."""

import json
import math
import os
import sys
from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser
from django.db import connections, router

from geocache.exceptions import MeteredProvider
from geocache.located.backfill import (
    BATCH_ROWS,
    BackfillReport,
    back_fill,
    located_models,
    unlocated,
)
from geocache.located.checks import name_problems
from geocache.located.model import LocatedModel
from geocache.management import options, progress
from geocache.management.base_command import ShellCommand


class Command(ShellCommand):
    """Back-fill one model and say what was filled."""

    help = (
        "Fill in country and location of the objects of a LocatedModel that have an address and no "
        "answer yet: the answer of the object's time (geo_time_field) where the history knows it, "
        "else today's. It can be stopped at any time and run again. Exit code 0: all are filled "
        "whose field holds an address; 75: the time limit left some, or the provider failed on "
        "some; 1: the model, the provider or the database cannot be used, or a provider that costs "
        "is not allowed by --metered."
    )
    needs_database = False
    examples = """\
  manage.py locate_geo visits.Login --dry-run
  manage.py locate_geo visits.Login
  manage.py locate_geo visits.Login --all --time-limit 600 --json | jq .located
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the model and the limits."""
        parser.add_argument("model", metavar="APP.MODEL", help="a model that is a LocatedModel")
        parser.add_argument(
            "--batch-size",
            type=options.count,
            default=BATCH_ROWS,
            metavar="ROWS",
            help=f"rows of one transaction (default: {BATCH_ROWS})",
        )
        parser.add_argument(
            "--dry-run", action="store_true", dest="is_dry_run", help="only count the rows"
        )
        parser.add_argument(
            "--all",
            action="store_true",
            dest="is_all",
            help="also replace the answers that rows have",
        )
        parser.add_argument(
            "--metered",
            action="store_true",
            dest="is_metered",
            help="also ask a provider whose answers may cost something",
        )
        parser.add_argument(
            "--database", metavar="ALIAS", help="where the rows are (default: as routers say)"
        )
        options.add_time_limit(parser)
        options.add_json(parser)

    def handle(  # noqa: PLR0913 - one of each option
        self,
        *,
        model: str,
        batch_size: int,
        is_dry_run: bool,
        is_all: bool,
        is_metered: bool,
        database: str | None,
        time_limit: float | None,
        is_json: bool,
        **_: Any,
    ) -> None:
        """Fill once, or count."""
        found = _model(model)
        using = _alias(found, database)
        if is_dry_run:
            count = unlocated(found, using, is_all=is_all).count()
            text = f"{count:,} of {found._meta.label} would be looked at; nothing was changed."
            self.stdout.write(json.dumps({"would_locate": count}) if is_json else text)
            return
        total = unlocated(found, using, is_all=is_all).count() if sys.stderr.isatty() else None
        try:
            with progress.bar(total=total, label="Locating", unit=" rows", delay_seconds=1) as bar:
                report = back_fill(
                    found,
                    using=using,
                    batch_rows=batch_size,
                    is_all=is_all,
                    is_metered=is_metered,
                    time_limit_seconds=math.inf if time_limit is None else time_limit,
                    watch=bar.update,
                )
        except MeteredProvider as error:
            raise CommandError(f"{error}. Allow it with --metered.") from error
        self.stdout.write(json.dumps(msgspec.to_builtins(report)) if is_json else _sentence(report))
        if not report.is_complete or report.unavailable:
            raise CommandError("Some rows are left; run it again.", returncode=os.EX_TEMPFAIL)


def _model(label: str) -> type[LocatedModel]:
    models = located_models()
    found = {name.lower(): model for name, model in models.items()}.get(label.lower())
    if found is not None:
        if problems := name_problems(found):
            raise CommandError(f"{found.__name__}.{problems[0]}")
        return found
    if not models:
        raise CommandError("No model of this project is a LocatedModel: see docs/integration.md.")
    raise CommandError(f"{label} is not a LocatedModel. Name one of: {', '.join(models)}.")


def _alias(model: type[LocatedModel], database: str | None) -> str:
    if database is None:
        return router.db_for_write(model)
    if database not in connections:
        raise CommandError(
            f"{database} is not in DATABASES. Name one of: {', '.join(connections)}."
        )
    return database


def _sentence(report: BackfillReport) -> str:
    parts = [f"{report.located:,} located"]
    if report.from_history:
        parts[0] += f" ({report.from_history:,} as they were at their time)"
    if report.unavailable:
        parts.append(f"{report.unavailable:,} left, as the provider failed on them")
    if report.not_an_address:
        parts.append(f"{report.not_an_address:,} left, as they hold no IP address")
    return f"{', '.join(parts)}, in {report.seconds:.2f} s."
