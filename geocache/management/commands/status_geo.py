"""``manage.py status_geo``: is everything all right? And why is this the answer for an address?"""

import json
import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import translation

from geocache.addresses import parse_address
from geocache.bans.protection import described
from geocache.blocklists.status import BanOverview, ListOverview, ListState
from geocache.health import parts, report
from geocache.health.findings import find, overall
from geocache.instants import utc_now, utc_text
from geocache.lookup.explain import trace
from geocache.management import check_output, explain_output
from geocache.management.base_command import ShellCommand
from geocache.management.options import add_json
from geocache.management.source_output import describe_source
from geocache.management.text_tables import pairs
from geocache.models import JobRun
from geocache.providers.quota import Usage
from geocache.runtime_settings import follow
from geocache.status import Status, read_status
from geocache.text import first_line

UNKNOWN = "not known"
# What a check waits for parts that hang; with the start of the process it takes two seconds.
CHECK_SECONDS = 1.2
SETTINGS_SECONDS = 0.3


class Command(ShellCommand):
    """Show the state of all parts."""

    help = (
        "Show what waits to be flushed, the last flush, the table, the provider's databases and "
        "their age, the cache, whether a scheduler runs, and the lists and bans, if there are any. "
        "Exit code 1: a part cannot be read; it is named on stderr (with --json under problems), "
        "the others are shown. What is old, low, overdue or has failed is said, and is no reason "
        "for it. With --explain: why an address has the answer that it has; no provider is asked "
        "that costs something. With --check: a line for Nagios, Icinga and their like, with "
        "figures, then what is wrong and the page that says what to do. It ends within two seconds "
        "whatever hangs. Exit code 0: all is well, 1: warning, 2: critical, 3: cannot be told."
    )
    examples = """\
  manage.py status_geo
  manage.py status_geo --json | jq .pending
  manage.py status_geo --json | jq '.lists[] | select(.is_overdue or .problem != "")'
  manage.py status_geo --explain 81.2.69.142
  manage.py status_geo --check
  manage.py status_geo --check --json | jq '.findings[].text'
"""
    # Whether a line with the exit code was written.
    has_told = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Take an address to explain, and the form of the output."""
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument(
            "--explain",
            metavar="ADDRESS",
            help="instead: what is held of one address, what a look-up would do, and its cost",
        )
        instead.add_argument(
            "--check",
            action="store_true",
            dest="is_check",
            help="instead: what is wrong, as a plug-in of Nagios says it; exit code 0, 1, 2 or 3",
        )
        add_json(parser)

    def read_settings(self, options: dict[str, Any]) -> None:
        """Have what the admin has changed count; a check does not wait for what hangs."""
        if options["is_check"]:
            follow.refresh_within(SETTINGS_SECONDS)
        else:
            super().read_settings(options)

    def handle(self, *, explain: str | None, is_check: bool, is_json: bool, **_: Any) -> None:
        """Show the state, or one address; exit 1 when a part cannot be read."""
        if is_check:
            self._check(is_json)
        elif explain is None:
            self._show_status(is_json)
        else:
            self._explain(explain, is_json)

    def run_from_argv(self, argv: list[str]) -> None:
        """Run on a command line; a check that was called wrongly tells nothing of the site."""
        try:
            super().run_from_argv(argv)
        except SystemExit as end:
            if "--check" in argv and end.code and not self.has_told:
                sys.exit(check_output.UNKNOWN_CODE)
            raise

    def _check(self, is_json: bool) -> None:
        try:
            with translation.override("en"):
                status, at = parts.read(CHECK_SECONDS, is_counting_bans=True), utc_now()
                findings = find(status, at)
                lines = list(check_output.lines(status, findings))
            code = check_output.EXIT_CODES[overall(findings)]
            if is_json:
                lines = [json.dumps(report.in_full(status, findings, at))]
        except Exception as error:  # noqa: BLE001 - what reads it knows no traceback
            lines, code = [check_output.unknown(first_line(error))], check_output.UNKNOWN_CODE
        self.stdout.write("\n".join(lines))
        self.stdout.flush()
        self.has_told = True
        sys.exit(code)

    def _explain(self, text: str, is_json: bool) -> None:
        address, now = parse_address(text), utc_now()
        known = trace(address)
        if is_json:
            plain = {"address": str(address), **known.to_plain(now)}
            self.stdout.write(json.dumps(plain))
        else:
            self.stdout.write(pairs(explain_output.rows(address, known, now)))

    def _show_status(self, is_json: bool) -> None:
        status = read_status()
        if is_json:
            self.stdout.write(json.dumps(status.to_plain()))
        else:
            self.stdout.write(pairs(_rows(status)))
            for problem in status.problems:
                self.stderr.write(f"Problem: {problem}")
        if status.problems:
            self.stdout.flush()
            sys.exit(1)


def _rows(status: Status) -> list[tuple[str, str]]:
    return [
        ("Pending", _pending(status)),
        ("Last flush", _last_flush(status)),
        ("Table", f"{_count(status.row_count, 'rows')} ({status.database_vendor})"),
        ("Rejected", _count(status.rejected_count, "entries")),
        ("Lost", _lost(status)),
        ("Provider", _provider(status) or UNKNOWN),
        *([("Edge", status.edge)] if status.edge else []),
        *([("Queries today", "\n".join(map(_usage, status.usages)))] if status.usages else []),
        ("Cache", _cache(status)),
        ("Scheduler", _scheduler(status)),
        *([("Jobs", "\n".join(map(_job, status.job_runs)))] if status.job_runs else []),
        *([("Lists", _lists(status))] if status.lists else []),
        *([("Bans", _bans(status.bans))] if status.bans else []),
        *([("Settings", _settings(status))] if status.settings else []),
    ]


def _count(count: int | None, noun: str) -> str:
    return UNKNOWN if count is None else f"{count:,} {noun}"


def _pending(status: Status) -> str:
    text = _count(status.pending_count, "answers")
    if status.oldest_pending_seconds is not None:
        age = timedelta(seconds=round(status.oldest_pending_seconds))
        text += f", the oldest waits for {age} (h:mm:ss)"
    for journal in status.journals if len(status.journals) > 1 else ():
        said = journal.error or _count(journal.pending_count, "answers")
        text += f"\n{journal.alias}: {said}"
    return text


def _lost(status: Status) -> str:
    if status.lost_record_count is None or status.unrecorded_count is None:
        return UNKNOWN
    if not (status.lost_record_count or status.unrecorded_count):
        return "nothing"
    return (
        f"{status.lost_record_count:,} records by the cache, "
        f"{status.unrecorded_count:,} answers while cache and database were away"
    )


def _last_flush(status: Status) -> str:
    run = status.last_flush
    if run is None:
        return UNKNOWN if status.row_count is None else "none yet"
    text = (
        f"{utc_text(run.started_at)}: {run.flushed:,} flushed, "
        f"{run.rejected:,} rejected, in {run.seconds:.2f} s"
    )
    return f"{text}\nfailed: {run.error}" if run.error else text


def _provider(status: Status) -> str:
    outages = (
        f"{one.provider} has answered no query since {utc_text(one.since)}"
        for one in status.outages
    )
    return "\n".join([*map(describe_source, status.sources), *outages, *status.doubts])


def _usage(usage: Usage) -> str:
    text = f"{usage.provider}: {usage.asked_count:,}"
    if usage.limit is not None:
        text += f" of {usage.limit:,}"
    if usage.remaining_count is not None:
        text += f", {usage.remaining_count:,} left as the service says"
    return f"{text}. This is LOW." if usage.is_low else text


def _cache(status: Status) -> str:
    if status.is_journal_possible is None:
        return f"{status.cache_backend}, does not answer" if status.cache_backend else UNKNOWN
    fitness = (
        "holds the journal"
        if status.is_journal_possible
        else "cannot hold the journal: new answers are written to the database at once"
    )
    return f"{status.cache_backend}, {fitness}"


def _scheduler(status: Status) -> str:
    if status.is_scheduler_alive is None:
        return UNKNOWN
    if status.is_scheduler_alive:
        return f"running, {status.scheduler_holder}"
    if not status.is_scheduler_missing:
        return "another one runs the jobs, as cron or Celery do"
    return (
        "none is running: start manage.py schedule_geo, or have another one run manage.py run_geo"
    )


def _job(run: JobRun) -> str:
    if run.started_at is None:
        return f"{run.job}: never"
    text = f"{run.job}: {run.state(utc_now())}, {utc_text(run.started_at)}"
    return f"{text}\n  {run.error}" if run.error else text


def _lists(status: Status) -> str:
    banned = status.bans.by_list if status.bans else {}
    return "\n".join(_list(one, banned.get(one.name, 0)) for one in status.lists)


def _list(one: ListOverview, banned_count: int) -> str:
    text = f"{one.name}: {_held(one)}"
    if banned_count:
        text += f", {banned_count:,} banned"
    if not one.is_configured:
        text += ", not in IMPORT_SOURCES"
    if one.is_overdue:
        text += ". This is OVERDUE."
    return f"{text}\n  failed: {one.problem}" if one.problem else text


def _held(one: ListOverview) -> str:
    if one.state == ListState.RUNNING:
        return "being imported now"
    if one.age_seconds is None:
        is_new = one.state == ListState.NEVER
        return "not imported yet" if is_new else "not wholly imported"
    age = timedelta(seconds=round(one.age_seconds))
    return (
        f"{one.entry_count:,} listed, {one.network_count:,} as networks, "
        f"imported {age} (h:mm:ss) ago"
    )


def _bans(bans: BanOverview) -> str:
    if not bans.has_action:
        return (
            f"{bans.count:,} recorded, but no action is configured that could end them: set "
            "BAN_ACTION as it was, and run manage.py ban_geo --end-all"
        )
    if not bans.is_enabled:
        return _switched_off(bans.count)
    text = f"{bans.count:,} in force"
    if bans.is_due:
        text += "; others are due, by the scheduler within a minute, or with manage.py ban_geo"
    return f"{text}\n{described(bans.skipped)}" if bans.skipped else text


def _settings(status: Status) -> str:
    count = f"{len(status.settings):,} changed in the admin: "
    return count + ", ".join(row.name for row in status.settings)


def _switched_off(count: int) -> str:
    text = "switched off (BANS_ENABLED is False)"
    if not count:
        return text
    return (
        f"{text}; {count:,} are in force still and end with the next run of the job, within a "
        "minute where the scheduler runs, or with manage.py ban_geo"
    )
