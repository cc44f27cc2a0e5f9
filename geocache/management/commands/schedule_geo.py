"""``manage.py schedule_geo``: the scheduler's own process."""

from typing import Any

from django.apps import apps
from django.core.management.base import CommandError

from geocache import extras
from geocache.management.base_command import ShellCommand
from geocache.management.subprocesses import stopping_signals
from geocache.status import UNMIGRATED, database_problem


class Command(ShellCommand):
    """Run the jobs until SIGTERM or Ctrl-C."""

    # It runs for weeks: what is wrong with the set-up is better said before.
    requires_system_checks = "__all__"
    examples = """\
  manage.py schedule_geo
"""
    help = (
        "Run geocache's jobs (the flush, every 60 seconds) until SIGTERM or Ctrl-C; then finish "
        "the job at hand, flush once more and exit 0. Run one, and as many more as you like: "
        "they stand by, and one of them takes over within 30 seconds when the first is gone."
    )

    def handle(self, **_: Any) -> None:
        """Run until a signal comes."""
        if absent := extras.missing("scheduler", "django_apscheduler"):
            raise absent
        if not apps.is_installed("django_apscheduler"):
            raise CommandError('Add "django_apscheduler" to INSTALLED_APPS, then run migrate.')
        # A database that is away is waited for; tables do not come by themselves.
        if (problem := database_problem()).startswith(UNMIGRATED):
            raise CommandError(f"Not started: {problem}.")
        from geocache.scheduler.process import run_scheduler  # noqa: PLC0415 - its models have to be installed

        signals: list[int] = []
        with stopping_signals(lambda number, _: signals.append(number)):
            run_scheduler(lambda: bool(signals))
