"""The button "Flush now", and how much waits for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from django.contrib import messages
from django.db import connections, transaction
from django.http import HttpRequest
from django.template.defaultfilters import floatformat
from django.utils.formats import number_format
from django.utils.translation import gettext

from geocache.exceptions import FlushError, JournalUnavailable

if TYPE_CHECKING:
    from geocache.journal.backlog import Backlog
    from geocache.journal.flush import FlushReport

# How long a flush may keep somebody waiting who pressed a button.
FLUSH_NOW_SECONDS: Final = 20.0

View = Callable[..., Any]


def outside_transactions(view: View) -> View:
    """Let a view flush: what is committed leaves the cache, so no request may roll it back."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def flush_now(request: HttpRequest) -> None:
    """Flush, and leave a message of what was done."""
    from geocache.journal.flush import flush_dirty  # noqa: PLC0415 - each process loads the admin
    from geocache.statistics.after_flush import after_flush  # noqa: PLC0415 - as above

    try:
        report = flush_dirty(FLUSH_NOW_SECONDS)
    except FlushError as error:
        messages.error(request, gettext("Not flushed: %(error)s") % {"error": error})
    else:
        level = messages.WARNING if report.rejected or report.timed_out else messages.SUCCESS
        messages.add_message(request, level, _said(report))
        after_flush()


def pending() -> "Backlog | None":
    """Return how much waits to be flushed, or None while the cache does not tell."""
    from geocache.journal.backlog import read_backlog  # noqa: PLC0415 - as above

    try:
        return read_backlog()
    except JournalUnavailable:
        return None


def _said(report: "FlushReport") -> str:
    """Return one line on what a flush did."""
    from geocache.journal.flush import FlushReport  # noqa: PLC0415 - as above

    if report == FlushReport(seconds=report.seconds):
        return gettext("Nothing was waiting to be flushed.")
    said = gettext(
        "%(flushed)s flushed, %(rejected)s rejected, %(pending)s pending, in %(seconds)s seconds."
    )
    counts = {
        "flushed": number_format(report.flushed),
        "rejected": number_format(report.rejected),
        "pending": number_format(report.pending),
        "seconds": floatformat(report.seconds, 1),
    }
    late = gettext(" Stopped by the time limit: flush again.") if report.timed_out else ""
    return said % counts + late
