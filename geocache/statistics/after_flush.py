"""What follows every flush: the counts that pages read are brought up to date."""

from collections.abc import Callable

import structlog
from django.utils import timezone

from geocache.statistics.lists import count_due
from geocache.statistics.table import refresh_if_due

log = structlog.get_logger(__name__)


def after_flush() -> None:
    """Count the table and the lists, each if that is due.

    To be called by all that flush for a person or a job, once they have said what was flushed:
    counting takes seconds in a large table. A failure is logged, as the flush has succeeded.
    """
    at = timezone.now()
    _attempt(lambda: refresh_if_due(at), "geo_statistics_failed")
    _attempt(lambda: count_due(at), "geo_list_counts_failed")


def _attempt(count: Callable[[], object], event_on_failure: str) -> None:
    try:
        count()
    except Exception as error:  # noqa: BLE001 - no failure of the counts may fail the flush
        log.warning(event_on_failure, error=str(error))
