"""The first page: where addresses are, whose they are, and whether all is well."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from geocache import conf
from geocache.charts import maps
from geocache.charts.bars import Bar
from geocache.instants import utc_now
from geocache.models import FlushRun
from geocache.mounts import page_url
from geocache.statistics.table import Snapshot, read_statistics
from geocache.status import Status, is_old, read_status
from geocache.web.access import permitted_or_lookup
from geocache.web.frame import render_page

# Those of half an hour, if there was something to do each minute.
SHOWN_RUNS: Final = 30
KEPT_LANGUAGES: Final = 16
# A backlog is late when it has waited for so many intervals of the job.
LATE_INTERVALS: Final = 3


@require_safe
@permitted_or_lookup
def dashboard_page(request: HttpRequest) -> HttpResponse:
    """Show the counts that a flush left behind, and the state of all parts."""
    now = utc_now()
    snapshot = read_statistics()
    status = read_status(now, is_counting_rows=False)
    runs = list(reversed(FlushRun.objects.all()[:SHOWN_RUNS]))
    context = {
        "snapshot": snapshot,
        "status": status,
        "runs": runs,
        "run_bars": [_run_bar(run) for run in runs],
        "run_most": max((run.flushed for run in runs), default=0),
        "sources": status.sources,
        "usages": status.usages,
        "old_sources": [one for one in status.sources if is_old(one, now) and not one.is_fallback],
        **_backlog(status, now),
        "counts": snapshot
        and snapshot.row_count
        and _counts(snapshot, get_language() or "", page_url("addresses", request)),
    }
    return render_page(request, "geocache/dashboard.html", context)


def _backlog(status: Status, now: datetime) -> dict[str, Any]:
    """Return since when the oldest answer waits, and whether that is too long."""
    if status.oldest_pending_seconds is None:
        return {}
    late_seconds = LATE_INTERVALS * conf.get("FLUSH_INTERVAL_SECONDS")
    return {
        "oldest_at": now - timedelta(seconds=status.oldest_pending_seconds),
        "is_late": status.oldest_pending_seconds > late_seconds,
    }


@lru_cache(maxsize=KEPT_LANGUAGES)
def _counts(snapshot: Snapshot, language: str, addresses_url: str) -> SafeString:  # noqa: ARG001 - the texts are in it
    """Return the part of the page that is the same for all until the table is counted anew.

    With all countries in it, to draw it takes longer than the rest of the page.
    """
    total, days = snapshot.row_count, snapshot.days
    context = {
        "snapshot": snapshot,
        "addresses_url": addresses_url,
        "legend": maps.legend(snapshot.countries),
        "countries": [
            (code, count, 100 * count / total) for code, count in snapshot.countries.items()
        ],
        "operators": [(one, 100 * one.address_count / total) for one in snapshot.operators],
        "day_bars": [_bar(date_format(day, "DATE_FORMAT"), count) for day, count in days.items()],
        "first_day": min(days),
        "last_day": max(days),
        "day_most": max(days.values()),
        "day_total": sum(days.values()),
    }
    return render_to_string("geocache/_counts.html", context)


def _bar(name: str, count: int, css: str = "") -> Bar:
    said = {"name": name, "count": number_format(count, force_grouping=True)}
    return Bar(_("%(name)s: %(count)s") % said, count, css)


def _run_bar(run: FlushRun) -> Bar:
    started_at = date_format(timezone.localtime(run.started_at), "H:i")
    if run.error:
        # As high as a flush of one answer, in another colour: a failure is not nothing.
        return Bar(f"{started_at}: {run.error}", 1, "is-bad")
    return _bar(started_at, run.flushed, "is-late" if run.timed_out else "")
