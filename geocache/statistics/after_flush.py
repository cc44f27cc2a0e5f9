"""What follows every flush: counts for pages are brought up to date, and old runs forgotten."""

from collections.abc import Callable
from datetime import timedelta

from geocache import conf
from geocache.instants import utc_now
from geocache.log import get_logger
from geocache.models import FlushRun
from geocache.statistics.lists import count_due
from geocache.statistics.table import refresh_if_due

log = get_logger(__name__)


def after_flush() -> None:
    """Count the table and the lists, each if that is due, and forget runs of the flush.

    To be called by all that flush for a person or a job, once they have said what was flushed:
    counting takes seconds in a large table. A failure is logged, as the flush has succeeded.
    """
    at = utc_now()
    _attempt(lambda: refresh_if_due(at), "table")
    _attempt(lambda: count_due(at), "lists")
    # Not by a job: where cron flushes, there is no scheduler.
    oldest = at - timedelta(days=conf.get("HISTORY_DAYS"))
    _attempt(lambda: FlushRun.forget_before(oldest), "runs")


def _attempt(act: Callable[[], object], part: str) -> None:
    try:
        act()
    except Exception as error:  # noqa: BLE001 - nothing that follows a flush may fail it
        log.warning("geo_after_flush_failed", part=part, error=str(error))
