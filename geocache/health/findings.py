"""The one place that judges the state: what is wrong, how bad it is, and what to do."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Literal, TypeAlias

from geocache.health import licence, storage, work
from geocache.health.finding import CRITICAL, WARNING, Finding
from geocache.status import Status

Judge: TypeAlias = Callable[[Status, datetime], Iterable[Finding]]
Overall: TypeAlias = Literal["ok", "warning", "critical"]

OK: Final = "ok"
# Each judges one part, and knows only what is in the status.
JUDGES: tuple[Judge, ...] = (
    storage.judge_silence,
    storage.judge_cache,
    storage.judge_database,
    storage.judge_reading,
    storage.judge_journal,
    storage.judge_flush,
    work.judge_jobs,
    work.judge_provider,
    licence.judge_licences,
    work.judge_quota,
    work.judge_lists,
    work.judge_bans,
    work.judge_losses,
)


def find(status: Status, at: datetime) -> list[Finding]:
    """Return what is wrong at ``at``, the worst first; reads settings, and nothing else."""
    found = [one for judge in JUDGES for one in judge(status, at)]
    return sorted(found, key=lambda one: not one.is_critical)


def overall(findings: Iterable[Finding]) -> Overall:
    """Return how bad the worst is."""
    levels = {one.level for one in findings}
    return CRITICAL if CRITICAL in levels else WARNING if WARNING in levels else OK
