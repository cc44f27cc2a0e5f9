"""``manage.py run_geo``: the jobs that are due, once; for cron, systemd timers and Kubernetes."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from geocache.instants import utc_now
from geocache.jobs import JOBS, Job, JobReport, run_job
from geocache.jobs.due import read_schedules
from geocache.jobs.report import FAILED, NOTHING_DUE
from geocache.management import progress
from geocache.management.base_command import ShellCommand
from geocache.management.job_output import run_row, run_table, schedule_table
from geocache.management.options import add_json, seconds
from geocache.management.subprocesses import stopping_signals
from geocache.status import database_problem

IDS: Final = [job.id for job in JOBS]


class Command(ShellCommand):
    """Run what is due, and say what came of it."""

    help = (
        "Run the jobs that are due, each once: the flush always, the others when their interval "
        "is over. For cron, systemd timers and Kubernetes, in place of schedule_geo. Two at once "
        "are harmless: a job that another process runs is busy, and left to it. SIGTERM and Ctrl-C "
        "end it after the batch at hand. Exit code 0: all is done, nothing was due, or it is left "
        "to another process or the next run; 1: a job failed, or the database cannot be used; "
        "2: the command line is wrong."
    )
    examples = """\
  manage.py run_geo
  manage.py run_geo --list
  manage.py run_geo --only geo_cache_flush geo_import
  manage.py run_geo --only geo_database_update --force
  manage.py run_geo --json | jq '.jobs[] | select(.status == "failed")'
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take which jobs, whether they have to be due, and the form of the output."""
        parser.add_argument(
            "--only",
            nargs="+",
            choices=IDS,
            metavar="JOB",
            help=f"no others than these: {', '.join(IDS)}",
        )
        parser.add_argument(
            "--force",
            "--all",
            action="store_true",
            dest="is_forced",
            help="whether they are due or not; databases and lists are looked at, too",
        )
        parser.add_argument(
            "--list",
            action="store_true",
            dest="is_list",
            help="instead: the jobs, how often each runs, its last run and when it is due",
        )
        parser.add_argument(
            "--time-limit",
            type=seconds,
            metavar="SECONDS",
            help="end after the batch at hand after so many seconds, and begin no further job "
            "(default: each job has its own limit)",
        )
        add_json(parser, "the reports, or with --list the jobs, as one JSON object")

    def handle(
        self,
        *,
        only: list[str] | None,
        is_forced: bool,
        is_list: bool,
        time_limit: float | None,
        is_json: bool,
        **_: Any,
    ) -> None:
        """Run once, or list; exit 1 when a job failed."""
        if problem := database_problem():
            raise CommandError(f"No job was run: {problem}.")
        if is_list:
            self._list(only or IDS, is_json)
            return
        # A job that is named and off says so.
        chosen = [job for job in JOBS if (job.id in only if only else job.is_enabled)]
        runs = _Runs(chosen, is_forced=is_forced, time_limit_seconds=time_limit)
        reports: list[JobReport] = []
        table = run_table(chosen)
        is_heading_due = not is_json
        for report in runs.each():
            reports.append(report)
            if is_json or report["status"] == NOTHING_DUE:
                continue
            if is_heading_due:
                self.stdout.write(table.heading())
                is_heading_due = False
            self.stdout.write(table.line(run_row(report)))
            self.stdout.flush()
        self._conclude(reports, runs.left, is_json)

    def _conclude(self, reports: list[JobReport], left: list[str], is_json: bool) -> None:
        if is_json:
            self.stdout.write(json.dumps({"jobs": reports, "left": left}))
        elif all(report["status"] == NOTHING_DUE for report in reports) and not left:
            self.stdout.write("Nothing is due.")
        if left:
            self.stderr.write(f"Stopped before its end; left to the next run: {', '.join(left)}.")
        failed = [report for report in reports if report["status"] == FAILED]
        for report in failed:
            self.stderr.write(f"{report['job']} failed: {report['error']}")
        if failed:
            self.stdout.flush()
            sys.exit(1)

    def _list(self, only: list[str], is_json: bool) -> None:
        now = utc_now()
        schedules = [one for one in read_schedules(now) if one.job.id in only]
        if is_json:
            self.stdout.write(json.dumps({"jobs": [one.to_plain() for one in schedules]}))
            return
        self.stdout.write(schedule_table(schedules, now))


class _Runs:
    """One run of each job, until a signal comes or the time is over."""

    def __init__(
        self, jobs: list[Job], *, is_forced: bool, time_limit_seconds: float | None
    ) -> None:
        self.jobs = jobs
        self.is_forced = is_forced
        self.deadline = time.monotonic() + (time_limit_seconds or float("inf"))
        self.signals: list[int] = []
        self.left: list[str] = []

    def is_over(self) -> bool:
        return bool(self.signals) or time.monotonic() > self.deadline

    def each(self) -> Iterator[JobReport]:
        """Give the report of each job when it has run."""
        with (
            stopping_signals(lambda number, _: self.signals.append(number)),
            progress.bar(total=len(self.jobs), label="Jobs", unit=" jobs", delay_seconds=1) as bar,
        ):
            for position, job in enumerate(self.jobs):
                if self.is_over():
                    self.left = [one.id for one in self.jobs[position:]]
                    return
                bar.set_description(job.id)
                report = self._run(job)
                with progress.cleared():
                    yield report
                bar.update()

    def _run(self, job: Job) -> JobReport:
        remaining = self.deadline - time.monotonic()
        return run_job(
            job.id,
            is_only_due=not self.is_forced,
            is_forced=self.is_forced,
            time_limit_seconds=max(remaining, 0),
            is_stopped=self.is_over,
        )
