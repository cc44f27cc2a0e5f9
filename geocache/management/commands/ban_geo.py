"""``manage.py ban_geo``: apply and end the bans of lists at once, or say what that would be."""

import json
import os
import sys
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from geocache.bans import apply as bans
from geocache.bans.preview import Preview, Sample, preview
from geocache.bans.protection import described
from geocache.exceptions import BanBusy, BanError
from geocache.management.base_command import ShellCommand
from geocache.management.options import add_json
from geocache.models import Ban
from geocache.status import database_problem

OFF: Final = "Bans are switched off: BANS_ENABLED is False."


class Command(ShellCommand):
    """Make the bans what the lists say."""

    help = (
        "Ban what is on a list, end the bans of what is on none, and ask for all others again: a "
        "firewall that was started afresh has lost them. The scheduler does the same each minute, "
        "and each import at its end, but for bans that are recorded and not known to be lost. "
        "What is never banned is counted, with the reason. Exit code 1: bans could not be applied "
        "or ended; 75: another process is banning."
    )
    examples = """\
  manage.py ban_geo
  manage.py ban_geo --dry-run
  manage.py ban_geo --end-all
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, and the form of the output."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--dry-run",
            action="store_true",
            dest="is_dry",
            help="say what would be banned and ended, what is never banned, and why; the first 20",
        )
        what.add_argument(
            "--end-all",
            action="store_true",
            dest="is_ending",
            help="end all bans; while BAN_ACTION is set, the scheduler and the next import ban "
            "again what is listed",
        )
        add_json(parser)

    def handle(self, *, is_dry: bool, is_ending: bool, is_json: bool, **_: Any) -> None:
        """Apply, end or preview; exit 75 when another process is banning."""
        if problem := database_problem():
            raise CommandError(f"Nothing was banned: {problem}.")
        action = bans.current()
        if action is None:
            raise CommandError(_switched_off(Ban.objects.count()))
        try:
            if is_dry:
                figures, lines = _previewed(preview(action))
            else:
                figures, lines = _ended() if is_ending else _applied()
        except BanBusy as error:
            self.stderr.write(f"{error}; try again.")
            sys.exit(os.EX_TEMPFAIL)
        except BanError as error:
            raise CommandError(f"Bans were not all applied: {error}") from error
        self.stdout.write(json.dumps(figures) if is_json else "\n".join(lines))


def _switched_off(count: int) -> str:
    if not count:
        return "Nothing is banned: BAN_ACTION is not set. See docs/blocklists.md."
    return (
        f"BAN_ACTION is not set, but {count:,} bans are recorded and stay in force. To end them, "
        "set it as it was for this command alone, and run manage.py ban_geo --end-all."
    )


def _applied() -> tuple[dict[str, Any], list[str]]:
    report = bans.apply_bans(is_repeated=True)
    is_enabled = bans.is_enabled()
    figures = {
        "banned": report.banned,
        "ended": report.unbanned,
        "repeated": report.repeated,
        "skipped": report.skipped,
    }
    if not is_enabled:
        return figures, [f"{OFF} {report.unbanned:,} bans ended."]
    said = (
        f"{report.banned:,} banned, {report.unbanned:,} bans ended, "
        f"{report.repeated:,} asked for again."
    )
    return figures, [said, *([f"{described(report.skipped)}."] if report.skipped else [])]


def _ended() -> tuple[dict[str, Any], list[str]]:
    count = bans.end_bans()
    again = "BAN_ACTION is still set: the scheduler and the next import ban again."
    return {"ended": count}, [f"{count:,} bans ended. {again if bans.is_enabled() else OFF}"]


def _previewed(due: Preview) -> tuple[dict[str, Any], list[str]]:
    figures = {
        "to_ban": due.to_ban.count,
        "to_end": due.to_end.count,
        "skipped": due.skipped,
        "first_to_ban": due.to_ban.first,
        "first_to_end": due.to_end.first,
        "first_skipped": dict(due.first_skipped),
        "is_lost": due.is_lost,
    }
    lines = [
        *([] if bans.is_enabled() else [OFF]),
        f"{due.to_ban.count:,} would be banned{_named(due.to_ban)}",
        f"{due.to_end.count:,} bans would end{_named(due.to_end)}",
    ]
    if due.is_lost:
        lines.append("The bans that are recorded are lost, and would be applied again.")
    if due.skipped:
        lines.append(f"{described(due.skipped)}.")
        lines += [f"  {entry}: {reason.value}" for entry, reason in due.first_skipped]
    return figures, lines


def _named(sample: Sample) -> str:
    if not sample.count:
        return "."
    more = ", ..." if sample.count > len(sample.first) else ""
    return f": {', '.join(sample.first)}{more}"
