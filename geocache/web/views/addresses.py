"""The list of addresses, its download, and all that is known about one address."""

from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from geocache import exports
from geocache.addresses import parse_address, parse_network, special_reason
from geocache.exceptions import InvalidAddress, InvalidCursor
from geocache.history.spans import Span, answer_on, past_spans
from geocache.instants import utc_now
from geocache.location import Location
from geocache.lookup import explain
from geocache.models import GeoCache, ListedAddress
from geocache.mounts import page_url
from geocache.permissions import (
    VIEW_ADDRESSES,
    VIEW_HISTORY,
    VIEW_LISTED,
    VIEW_LISTS,
    missing,
    user_of,
)
from geocache.place_names import shown
from geocache.statistics.table import read_statistics
from geocache.text import strip_unprintable
from geocache.web.access import permission_required, permitted_labels
from geocache.web.filters import AddressFilter, DayForm
from geocache.web.frame import render_page
from geocache.web.pagination import Page, read_page

Address = IPv4Address | IPv6Address

# On either side of an address, in its network.
NEIGHBOURS: Final = 10
LISTED_KINDS: Final = ("csv", "jsonl")


@require_safe
@permission_required(VIEW_ADDRESSES)
def address_list(request: HttpRequest) -> HttpResponse:
    """List the addresses that the query asks for, a page at a time."""
    asked = {name: values for name, values in request.GET.lists() if any(values)}
    if len(asked) < len(request.GET):
        # A form sends its empty fields, too; the link to share is without them.
        return redirect(f"{request.path}?{urlencode(asked, doseq=True)}" if asked else request.path)
    form = AddressFilter(request.GET)
    counted = read_statistics()
    form.offer_choices(counted, with_lists=not missing(user_of(request), VIEW_LISTS))
    page = _page(form)
    answers = shown(permitted_labels(request, [row.to_location() for row in page.rows]))
    context = {
        "form": form,
        "page": page,
        "about_count": counted.row_count if counted and not form.is_filtered() else None,
        "answers": answers,
        "shown_sources": answers,
        "kinds": LISTED_KINDS,
    }
    return render_page(request, "geocache/addresses.html", context)


@require_safe
@permission_required(VIEW_ADDRESSES)
def download(request: HttpRequest, kind: str) -> HttpResponseBase:
    """Send all addresses that the query asks for as a file, while they are read."""
    if kind not in LISTED_KINDS:
        raise Http404
    form = AddressFilter(request.GET)
    if not form.is_valid():
        problem = "\n".join(form.problems())
        return HttpResponse(problem, status=HTTPStatus.BAD_REQUEST, content_type="text/plain")
    rows = form.rows().order_by(*form.order())
    return exports.download(request, rows.stream(), kind, "addresses")


@require_safe
@permission_required(VIEW_ADDRESSES)
def address_page(request: HttpRequest, address: str) -> HttpResponse:
    """Show all that is known about one address. The provider is not asked for it."""
    try:
        parsed = parse_address(address)
    except InvalidAddress:
        said = {
            "problem": _("“%(text)s” is not an IP address.")
            % {"text": strip_unprintable(address[:40])}
        }
        return render_page(request, "geocache/no_address.html", said, status=HTTPStatus.NOT_FOUND)
    if str(parsed) != address:
        return redirect(page_url("address", request, address=str(parsed)))
    reason = special_reason(parsed)
    known = explain.trace(parsed)
    answer = known.answer()
    network = _network_of(answer)
    rows = GeoCache.objects.in_network(network).around(parsed, NEIGHBOURS) if network else []
    past = _past(request, address)
    neighbours = shown(permitted_labels(request, [row.to_location() for row in rows]))
    places = shown(permitted_labels(request, [answer] if answer is not None else []))
    context: dict[str, Any] = {
        **past,
        "address": address,
        "known": known,
        "answer": places[0] if places else None,
        "given": GeoCache.fields_by_source(answer) if answer is not None else [],
        "stale": known.stale(utc_now()),
        "reason": reason,
        "places": places,
        **_listings(request, parsed),
        "neighbours": neighbours,
        "shown_sources": [*places, *neighbours, *(one.answer for one in _spans(past))],
    }
    status = HTTPStatus.OK if answer is not None or reason else HTTPStatus.NOT_FOUND
    return render_page(request, "geocache/address.html", context, status=status)


def _network_of(answer: Location | None) -> IPv4Network | IPv6Network | None:
    """Return the network that an answer holds for; None also for a text that is not one."""
    try:
        return parse_network(answer.network) if answer is not None else None
    except InvalidAddress:
        return None


def _listings(request: HttpRequest, address: Address) -> dict[str, Any]:
    """Return the lists that an address is on, and which columns they fill."""
    if missing(user_of(request), VIEW_LISTS, VIEW_LISTED):
        return {}
    rows = list(ListedAddress.objects.holding(address).select_related("source"))
    return {
        "listings": rows,
        "listed_scores": any(row.score is not None for row in rows),
        "listed_comments": any(row.comment for row in rows),
    }


def _past(request: HttpRequest, address: str) -> dict[str, Any]:
    """Return the history entries of an address, and where it was on the day that is asked for."""
    if missing(user_of(request), VIEW_HISTORY):
        return {}
    form = DayForm(request.GET if "on" in request.GET else None, label_suffix="")
    on = form.cleaned_data["on"] if form.is_valid() else None
    return {
        "spans": past_spans(address),
        "day_form": form,
        "on": on,
        "then": answer_on(address, on) if on else None,
    }


def _spans(past: dict[str, Any]) -> list[Span]:
    """Return all spans of the past that the page shows."""
    return [*past.get("spans", []), *filter(None, [past.get("then")])]


def _page(form: AddressFilter) -> Page:
    """Return the page that is asked for, or an empty one and in ``form`` why."""
    if not form.is_valid():
        return Page(rows=[])
    given = form.cleaned_data
    try:
        return read_page(form.rows(), form.order(), before=given["before"], after=given["after"])
    except InvalidCursor:
        form.add_error(None, _("This link to a page of the list is broken; begin anew."))
        return Page(rows=[])
