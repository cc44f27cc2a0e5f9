"""The first page: where addresses are, whose they are, and whether all is well."""

from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from geocache import conf, permissions
from geocache.charts import maps
from geocache.charts.bars import Bar
from geocache.health.finding import Finding
from geocache.health.findings import find
from geocache.instants import utc_now
from geocache.models import FlushRun
from geocache.mounts import page_url
from geocache.permissions import user_of
from geocache.statistics.table import Snapshot, read_statistics
from geocache.status import Status, read_status
from geocache.trait_names import connection_type_name, trait_name, user_type_name
from geocache.web.access import permitted_or_lookup
from geocache.web.frame import render_page

# Those of half an hour, if there was something to do each minute.
SHOWN_RUNS: Final = 30
KEPT_LANGUAGES: Final = 16
# Parts whose findings name lists and what is in them.
OF_LISTS: Final = ("lists", "bans")
# Traits, types of users and of connections that are ranked.
SHOWN_KINDS: Final = 12


class KindTable(NamedTuple):
    """A ranking: what it is of, by which filter, and each value, its name, count and share."""

    label: str
    filter_name: str
    rows: list[tuple[str, str, int, float]]


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
        "shown_sources": snapshot.sources if snapshot else (),
        "usages": status.usages,
        "findings": _findings(request, status, now),
        "oldest_at": _oldest_at(status, now),
        "are_bans_off": conf.get("BAN_ACTION") and not conf.get("BANS_ENABLED"),
        "counts": snapshot
        and snapshot.row_count
        and _counts(snapshot, get_language() or "", page_url("addresses", request)),
    }
    return render_page(request, "geocache/dashboard.html", context)


def _findings(request: HttpRequest, status: Status, now: datetime) -> list[Finding]:
    """Return what is wrong, of lists only what the user may see."""
    hidden = OF_LISTS if permissions.missing(user_of(request), permissions.VIEW_LISTS) else ()
    return [one for one in find(status, now) if one.part not in hidden]


def _oldest_at(status: Status, now: datetime) -> datetime | None:
    """Return since when the oldest answer waits, or None."""
    seconds = status.oldest_pending_seconds
    return None if seconds is None else now - timedelta(seconds=seconds)


@lru_cache(maxsize=KEPT_LANGUAGES)
def _counts(snapshot: Snapshot, language: str, addresses_url: str) -> SafeString:  # noqa: ARG001 - the texts are in it
    """Return the part of the page that is the same for all until the table is counted anew.

    With all countries in it, to draw it takes longer than the rest of the page.
    """
    total, days, kinds = snapshot.row_count, snapshot.days, snapshot.kinds
    context = {
        "snapshot": snapshot,
        "addresses_url": addresses_url,
        "legend": maps.legend(snapshot.countries),
        "countries": [
            (code, count, 100 * count / total, kinds.of_country(code, count))
            for code, count in snapshot.countries.items()
        ],
        "operators": [
            (one, 100 * one.address_count / total, kinds.of_operator(one))
            for one in snapshot.operators
        ],
        "kinds": kinds,
        "hosting_percent": 100 * kinds.hosting_count / total,
        "anonymous_percent": 100 * kinds.anonymous_count / total,
        "kind_tables": _kind_tables(snapshot),
        "continents": [
            (code, count, 100 * count / total) for code, count in snapshot.continents.items()
        ],
        "day_bars": [_bar(date_format(day, "DATE_FORMAT"), count) for day, count in days.items()],
        "first_day": min(days),
        "last_day": max(days),
        "day_most": max(days.values()),
        "day_total": sum(days.values()),
    }
    return render_to_string("geocache/_counts.html", context)


def _kind_tables(snapshot: Snapshot) -> list[KindTable]:
    """Return the rankings of what is known about networks, each by what a list is filtered by."""
    kinds = snapshot.kinds
    tables = (
        (_("Kind of network"), "trait", kinds.traits, trait_name),
        (_("Users"), "user_type", kinds.user_types, user_type_name),
        (_("Connection"), "connection_type", kinds.connection_types, connection_type_name),
    )
    return [
        KindTable(
            label,
            name,
            [
                (value, shown(value), count, 100 * count / snapshot.row_count)
                for value, count in islice(counts.items(), SHOWN_KINDS)
            ],
        )
        for label, name, counts, shown in tables
        if counts
    ]


def _bar(name: str, count: int, css: str = "") -> Bar:
    said = {"name": name, "count": number_format(count, force_grouping=True)}
    return Bar(_("%(name)s: %(count)s") % said, count, css)


def _run_bar(run: FlushRun) -> Bar:
    started_at = date_format(timezone.localtime(run.started_at), "H:i")
    if run.error:
        # As high as a flush of one answer, in another colour: a failure is not nothing.
        return Bar(f"{started_at}: {run.error}", 1, "is-bad")
    return _bar(started_at, run.flushed, "is-late" if run.timed_out else "")
