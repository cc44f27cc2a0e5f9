"""What ``run_geo`` shows: one line for each job."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from geocache.instants import utc_text
from geocache.jobs import Job, JobReport
from geocache.jobs.due import Schedule
from geocache.management.text_tables import Column, Table

WHAT_LENGTH: Final = 100
SECONDS_WIDTH: Final = "1,000.0"
COLUMNS: Final = [
    Column("Job"),
    Column("Status"),
    Column("Seconds", is_number=True),
    Column("What", limit=WHAT_LENGTH),
]
LIST_COLUMNS: Final = [
    Column("Job"),
    Column("Every", is_number=True),
    Column("Last run"),
    Column("Status"),
    Column("Due"),
]


def run_table(jobs: list[Job]) -> Table:
    """Return the table of what becomes of these jobs."""
    return Table(COLUMNS, ((job.id, "nothing_due", SECONDS_WIDTH, "") for job in jobs))


def run_row(report: JobReport) -> list[str]:
    """Return the cells of one run."""
    what = report["error"] or ", ".join(_described(report["detail"]))
    return [report["job"], report["status"], f"{report['seconds']:,.1f}", what]


def _described(detail: dict[str, Any]) -> Iterator[str]:
    """Give the counts that are not 0, as ``3,000 flushed``, and what became of each part."""
    for name, value in detail.items():
        if isinstance(value, int) and not isinstance(value, bool) and value:
            yield f"{value:,} {name.replace('_', ' ')}"
    for one in [*detail.get("lists", ()), *detail.get("databases", ())]:
        yield f"{one.get('list') or one['name']}: {one['status']}"


def schedule_table(schedules: list[Schedule], now: datetime) -> str:
    """Return the jobs with their last runs, and when each is due."""
    rows = [_schedule_row(one, now) for one in schedules]
    table = Table(LIST_COLUMNS, rows)
    return "\n".join([table.heading(), *map(table.line, rows)])


def _schedule_row(one: Schedule, now: datetime) -> list[str]:
    every = _duration(one.job.interval_seconds)
    if not one.job.is_enabled:
        due = "disabled"
    else:
        due = "now" if one.is_due or one.due_at is None else utc_text(one.due_at)
    if one.run is None or one.run.started_at is None:
        return [one.job.id, every, "never", "", due]
    return [one.job.id, every, utc_text(one.run.started_at), one.run.state(now), due]


def _duration(interval_seconds: float) -> str:
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if interval_seconds >= length and interval_seconds % length == 0:
            return f"{interval_seconds / length:g} {unit}"
    return f"{interval_seconds:g} s"
