"""What each job does, and what it logs. The lease and known errors are those of ``run``."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final

import msgspec
from django.apps import apps
from django.utils import timezone

from geocache import conf
from geocache.bans import apply as bans
from geocache.blocklists.outcome import APPLIED
from geocache.blocklists.schedule import Result, import_due
from geocache.databases import update
from geocache.exceptions import BanBusy, JournalUnavailable, PartlyFlushed, ProviderError
from geocache.history.moves import count_moves
from geocache.instants import utc_now
from geocache.jobs.report import BUSY, DONE, FAILED, NOTHING_DUE, Status
from geocache.jobs.table import JOBS
from geocache.journal.backlog import patience, read_backlog
from geocache.journal.flush import flush_dirty
from geocache.log import get_logger
from geocache.maintenance import licence
from geocache.maintenance.prune import prune, retention_days
from geocache.maintenance.refresh import refresh
from geocache.models import FlushRun
from geocache.models.connection import DATABASE_ERRORS
from geocache.models.scheduler import SCHEDULER_APP
from geocache.statistics.after_flush import after_flush

log = get_logger(__name__)

FLUSH: Final = "geo_cache_flush"


@dataclass(frozen=True, slots=True)
class Work:
    """What a run is given: its time limit, what tells it to end, and whether all is due."""

    time_limit_seconds: float
    is_stopped: Callable[[], bool]
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run; ``detail`` is plain JSON."""

    status: Status = DONE
    detail: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def warn_of_age() -> None:
    """Say when answers have waited for too long."""
    try:
        backlog = read_backlog()
    except (JournalUnavailable, *DATABASE_ERRORS):
        # The age is unknown; what is away was logged before.
        return
    waited_seconds = backlog.waited_seconds(utc_now())
    late, _ = patience()
    if waited_seconds > late.total_seconds():
        log.warning(
            "geo_cache_backlog_is_old",
            pending=backlog.answer_count,
            seconds=round(waited_seconds),
        )


def _flush(given: Work) -> Outcome:
    try:
        report = flush_dirty(given.time_limit_seconds, is_stopped=given.is_stopped)
    except PartlyFlushed:
        # Counts are not to stand still while the cache of one group is away.
        after_flush()
        raise
    if report.flushed:
        log.debug("geo_cache_flush_ran", flushed=report.flushed)
    if report.rejected:
        log.warning("geo_cache_flush_rejected", rejected=report.rejected)
    if report.timed_out:
        log.warning("geo_cache_flush_timed_out", flushed=report.flushed, pending=report.pending)
        warn_of_age()
    after_flush()
    return Outcome(detail=_figures(report))


def _prune_history(_: Work) -> Outcome:
    age = timedelta(days=conf.get("HISTORY_DAYS"))
    FlushRun.forget_before(utc_now() - age)
    if apps.is_installed(SCHEDULER_APP):
        # Not by a prefix: the host's own jobs are in the same table.
        ours = [job.id for job in JOBS]
        executions = apps.get_model(SCHEDULER_APP, "DjangoJobExecution")._default_manager
        # Django's now, as their moments have a time zone only where the project's have one.
        executions.filter(job_id__in=ours, run_time__lt=timezone.now() - age).delete()
    return Outcome()


def _update_databases(given: Work) -> Outcome:
    outcomes = update.update_databases(is_only_due=not given.is_forced, is_stopped=given.is_stopped)
    detail: dict[str, Any] = {"databases": msgspec.to_builtins(outcomes)}
    for one in outcomes:
        if one.status == update.INSTALLED:
            log.info("geo_database_updated", database=one.name, build=one.detail)
        elif one.status == update.FAILED:
            log.error("geo_database_update_failed", database=one.name, error=one.detail)
    if any(one.status == update.INSTALLED for one in outcomes):
        detail["moves"] = _count_moves(given)
    if failures := [one for one in outcomes if one.status == update.FAILED]:
        said = "; ".join(f"{one.name}: {one.detail}" for one in failures)
        return Outcome(FAILED, detail, said)
    is_idle = all(one.status == update.NOT_DUE for one in outcomes)
    return Outcome(NOTHING_DUE if is_idle else DONE, detail)


def _count_moves(given: Work) -> dict[str, Any] | None:
    """Log how many known addresses the new databases put elsewhere, and return the counts."""
    try:
        report = count_moves(is_stopped=given.is_stopped)
    except (ProviderError, *DATABASE_ERRORS) as error:
        log.warning("geo_moves_not_counted", error=str(error))
        return None
    if report is None:
        return None
    log.info(
        "geo_addresses_moved",
        compared=report.compared,
        moved=report.moved,
        by_kind=report.by_kind,
        is_complete=report.is_complete,
    )
    return asdict(report)


def _refresh(given: Work) -> Outcome:
    report = refresh(time_limit_seconds=given.time_limit_seconds, is_stopped=given.is_stopped)
    if report.resolved or report.failed:
        log.info("geo_refresh_ran", resolved=report.resolved, failed=report.failed)
        after_flush()
    return Outcome(detail=_figures(report))


def _prune(given: Work) -> Outcome:
    report = prune(
        days=retention_days(),
        time_limit_seconds=given.time_limit_seconds,
        is_stopped=given.is_stopped,
    )
    if report.pruned:
        log.info("geo_prune_ran", pruned=report.pruned, is_complete=report.is_complete)
        after_flush()
    return Outcome(detail=_figures(report))


def _clean_up(given: Work) -> Outcome:
    report = licence.clean_up(
        time_limit_seconds=given.time_limit_seconds, is_stopped=given.is_stopped
    )
    figures = _figures(report)
    if any(count for name, count in figures.items() if name != "is_complete"):
        log.info(
            "geo_licence_ran",
            resolved=report.refreshed,
            pruned=report.removed,
            history_removed=report.history,
            rejected_removed=report.rejected,
            files_removed=report.files,
            is_complete=report.is_complete,
        )
        after_flush()
    return Outcome(detail=figures)


def _import(given: Work) -> Outcome:
    results = list(import_due(is_stopped=given.is_stopped, is_forced=given.is_forced))
    for result in results:
        if result.problem:
            log.error("geo_import_failed", list=result.name, error=result.problem)
        elif result.outcome and result.outcome.status == APPLIED:
            log.info(
                "geo_import_ran",
                list=result.name,
                added=result.outcome.added_count,
                removed=result.outcome.removed_count,
                bad=result.outcome.bad_count,
            )
    if not results:
        return Outcome(NOTHING_DUE)
    detail = {"lists": [_list_figures(result) for result in results]}
    said = "; ".join(f"{one.name}: {one.problem}" for one in results if one.problem)
    if any(one.problem and not one.is_busy for one in results):
        return Outcome(FAILED, detail, said)
    return Outcome(BUSY if said else DONE, detail, said)


def _list_figures(result: Result) -> dict[str, Any]:
    outcome = result.outcome
    return {
        "list": result.name,
        # Stopped before it was done: neither.
        "status": outcome.status if outcome else "failed" if result.problem else "stopped",
        "added": outcome.added_count if outcome else 0,
        "removed": outcome.removed_count if outcome else 0,
        "bad": outcome.bad_count if outcome else 0,
        "error": result.problem,
    }


def _ban(given: Work) -> Outcome:
    def end_if_stopped() -> None:
        # Between two batches; the next run goes on.
        if given.is_stopped():
            raise BanBusy("stopped before it was done")

    try:
        report = bans.apply_due_bans(end_if_stopped)
    except BanBusy:
        if given.is_stopped():
            return Outcome(detail={"is_complete": False})
        raise
    if report.banned or report.unbanned or report.repeated:
        log.info(
            "geo_bans_ran",
            banned=report.banned,
            ended=report.unbanned,
            repeated=report.repeated,
            skipped=report.skipped.total(),
        )
    return Outcome(
        detail={
            "banned": report.banned,
            "ended": report.unbanned,
            "repeated": report.repeated,
            "skipped": {reason.value: count for reason, count in report.skipped.items()},
        }
    )


def _figures(report: Any) -> dict[str, Any]:
    """Return a report without its seconds, which are those of the run."""
    return {name: value for name, value in asdict(report).items() if name != "seconds"}


WORK: Final[dict[str, Callable[[Work], Outcome]]] = {
    FLUSH: _flush,
    "geo_import": _import,
    "geo_bans": _ban,
    "geo_database_update": _update_databases,
    "geo_refresh": _refresh,
    "geo_prune": _prune,
    "geo_licence": _clean_up,
    "geo_prune_history": _prune_history,
}
