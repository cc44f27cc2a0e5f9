"""Lists: what each import did, where a list's addresses are, and "import now"."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from geocache import conf
from geocache.blocklists.request import ask_for
from geocache.charts import maps
from geocache.exceptions import InvalidCursor
from geocache.models import ImportRun, ImportSource, ListedAddress
from geocache.mounts import page_url
from geocache.permissions import CHANGE_LISTS, VIEW_LISTED, VIEW_LISTS, missing, user_of
from geocache.statistics.lists import geography_of
from geocache.statistics.table import Operator, read_statistics
from geocache.web.access import permission_required
from geocache.web.entries import EntryFilter, read_entries
from geocache.web.frame import render_page

SHOWN_RUNS: Final = 30
SHOWN_SOURCES: Final = 200
RANKED: Final = 15


@require_safe
@permission_required(VIEW_LISTS)
def list_overview(request: HttpRequest) -> HttpResponse:
    """Show all lists, and what the last imports have changed."""
    sources = ImportSource.objects.defer("figures").select_related("current_run")
    context = {
        "sources": sources[:SHOWN_SOURCES],
        "runs": ImportRun.objects.select_related("source")[:SHOWN_RUNS],
        "has_schedule": bool(conf.get("IMPORT_SOURCES")),
    }
    return render_page(request, "geocache/lists.html", context)


@require_safe
@permission_required(VIEW_LISTS, VIEW_LISTED)
def list_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one list: where its addresses are beside all others, its imports, its entries."""
    source = get_object_or_404(ImportSource.objects.select_related("current_run"), pk=pk)
    geography, everywhere = geography_of(source), read_statistics()
    entries = ListedAddress.objects.listed().filter(source=source)
    context: dict[str, Any] = {
        "source": source,
        "runs": source.runs.all()[:SHOWN_RUNS],
        **_entries(request, entries),
        "may_import": source.name in conf.get("IMPORT_SOURCES")
        and not missing(user_of(request), CHANGE_LISTS),
        "geography": geography,
        # The entries that are shown are among all addresses of the table.
        "shown_sources": everywhere.sources if everywhere else (),
    }
    if geography is not None:
        others = everywhere.row_count if everywhere else 0
        context |= {
            "legend": maps.legend(geography.countries),
            "countries": _beside(
                geography.countries,
                geography.address_count,
                everywhere.countries if everywhere else {},
                others,
            ),
            "operators": _operators_beside(
                geography.operators,
                geography.address_count,
                everywhere.operators if everywhere else (),
                others,
            ),
        }
    return render_page(request, "geocache/list.html", context)


@require_safe
@permission_required(VIEW_LISTS, VIEW_LISTED)
def run_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one import: its counts, what has appeared with it and what has left."""
    run = get_object_or_404(ImportRun.objects.select_related("source"), pk=pk)
    kind = request.GET.get("show", "added")
    if kind not in ("added", "removed"):
        raise Http404
    entries = run.added.all() if kind == "added" else run.removed.all()
    counted = read_statistics()
    context = {
        "run": run,
        "kind": kind,
        "shown_sources": counted.sources if counted else (),
        **_entries(request, entries, show=kind),
    }
    return render_page(request, "geocache/import_run.html", context)


@require_POST
@permission_required(CHANGE_LISTS)
def import_now(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the scheduler import a list within a minute."""
    source = get_object_or_404(ImportSource, pk=pk)
    if ask_for(source):
        said, level = _("The scheduler imports this list within a minute."), messages.SUCCESS
    else:
        said = _("This list is not in the settings: nobody knows from where.")
        level = messages.ERROR
    # A project need not have the app of messages.
    messages.add_message(request, level, said, fail_silently=True)
    return redirect(page_url("list", request, pk=source.pk))


def _entries(
    request: HttpRequest, entries: "QuerySet[ListedAddress]", **kept: str
) -> dict[str, Any]:
    """Return the page of entries that is asked for, its form, and what the form keeps."""
    form = EntryFilter(request.GET, label_suffix="")
    try:
        page = read_entries(entries, form, request.GET.get("after", ""))
    except InvalidCursor as error:
        raise Http404 from error
    url = f"{request.path}?{urlencode(kept)}" if kept else request.path
    return {"form": form, "page": page, "kept": kept, "entries_url": url}


def _beside(
    counts: Mapping[str, int], total: int, others: Mapping[str, int], other_total: int
) -> list[tuple[str, int, float, float]]:
    """Return each country with its count, its share of the list, and of all addresses."""
    return [
        (code, count, _share(count, total), _share(others.get(code, 0), other_total))
        for code, count in list(counts.items())[:RANKED]
    ]


def _operators_beside(
    counted: Sequence[Operator], total: int, others: Sequence[Operator], other_total: int
) -> list[tuple[Operator, float, float | None]]:
    """Return each operator with its share of the list, and of all where that is known."""
    known = {one.asn: _share(one.address_count, other_total) for one in others}
    return [(one, _share(one.address_count, total), known.get(one.asn)) for one in counted[:RANKED]]


def _share(count: int, total: int) -> float:
    return 100 * count / total if total else 0.0
