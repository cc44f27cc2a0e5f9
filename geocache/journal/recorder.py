"""Make sure that new answers are not lost: into the journal, else the table, else into memory."""

from collections.abc import Sequence
from typing import Final

from django.core.exceptions import SynchronousOnlyOperation

from geocache import counters
from geocache.cache import backends
from geocache.cache.backends import Entry
from geocache.exceptions import AllRefused, CacheUnavailable, JournalUnavailable
from geocache.journal import spill_buffer, table_writer, writer
from geocache.journal.announcements import announce_changes, announce_recorded
from geocache.journal.spill_buffer import buffer
from geocache.location import Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.models.connection import DATABASE_ERRORS, drop_broken_connection

log = get_logger(__name__)

# What refuses to ask a database at all: an event loop, Django's SimpleTestCase, pytest-django.
FORBIDDEN: Final = (SynchronousOnlyOperation, AssertionError, RuntimeError)
# What a database, or the driver before it, raises. The caller gets the answer all the same.
NOT_WRITTEN: Final = (*DATABASE_ERRORS, AllRefused, ValueError, OverflowError, *FORBIDDEN)

written_through = LogThrottle(seconds=60)
unrecorded_throttle = LogThrottle(seconds=60)


def record(locations: Sequence[Location], entry: Entry | None = None) -> bool:
    """Record new answers before they are returned, with those that could not be recorded before.

    Return whether ``entry``, the hot entry of the first one, was set together with it.
    """
    if not locations:
        return False
    earlier, dropped_count = buffer.take()
    try:
        # The new ones first: those that were kept may be there because they are refused.
        is_set = _write([*locations, *earlier], entry, are_new=not earlier)
    except NOT_WRITTEN as error:
        drop_broken_connection()
        kept_count, dropped_count = buffer.put([*earlier, *locations], dropped_count)
        counters.count(counters.SPILLED, len(locations))
        if unrecorded_throttle.is_due():
            log.error(
                "geo_answers_unrecorded",
                kept=kept_count,
                dropped=dropped_count,
                error=str(error),
            )
        return False
    except BaseException:
        # A bug, or the end of a task: what was kept for later stays kept.
        buffer.put(earlier, dropped_count)
        raise
    _report(dropped_count)
    announce_recorded([*locations, *earlier])
    return is_set


def _write(answers: Sequence[Location], entry: Entry | None, *, are_new: bool) -> bool:
    try:
        # The journal turns the errors of the cache into its own; only the breaker is left to ask.
        with backends.breaker.guard():
            return writer.append(answers, entry)
    except (JournalUnavailable, CacheUnavailable) as unavailable:
        written = table_writer.write(answers, are_new=are_new)
        counters.count(counters.WRITTEN_THROUGH, written.accepted_count)
        counters.count(counters.REJECTED, written.refused_count)
        if written.refused_count:
            log.warning("geo_answers_rejected", rejected=written.refused_count)
        if written_through.is_due():
            log.warning("geo_cache_written_through", error=str(unavailable))
        announce_changes(written.changes)
        return False


def _report(dropped_count: int) -> None:
    """Leave the count of answers that were given up where ``status_geo`` finds it."""
    if not dropped_count:
        return
    try:
        spill_buffer.count_unrecorded(dropped_count)
    except JournalUnavailable:
        buffer.put([], dropped_count)
