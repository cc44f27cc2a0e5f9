"""``manage.py schedule_geo``: the scheduler's own process."""

import signal
import threading
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from geocache.models import SchedulerLease


class Command(BaseCommand):
    """Run the jobs until SIGTERM or Ctrl-C."""

    help = (
        "Run geocache's jobs (the flush, every 60 seconds) until SIGTERM or Ctrl-C; then finish "
        "the job at hand, flush once more and exit 0. Run one, and as many more as you like: "
        "they stand by, and one of them takes over within 30 seconds when the first is gone."
    )

    def handle(self, **_: Any) -> None:
        """Run until a signal comes."""
        if not apps.is_installed("django_apscheduler"):
            raise CommandError('Add "django_apscheduler" to INSTALLED_APPS, then run migrate.')
        if not _is_migrated():
            raise CommandError("The database has no tables for geocache: run manage.py migrate.")
        from geocache.jobs import run_scheduler  # noqa: PLC0415 - its models have to be installed

        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        run_scheduler(stopped)


def _is_migrated() -> bool:
    try:
        return SchedulerLease._meta.db_table in connection.introspection.table_names()
    except DatabaseError:
        # Away for now: the scheduler waits for it.
        return True
