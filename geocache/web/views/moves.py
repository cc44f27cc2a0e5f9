"""The list of addresses whose place, operator or kind of network changed."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from geocache.exceptions import InvalidCursor
from geocache.permissions import VIEW_HISTORY
from geocache.web.access import permission_required
from geocache.web.filters import MoveFilter
from geocache.web.frame import render_page
from geocache.web.pagination import MOVE_ORDER, Page, read_page


@require_safe
@permission_required(VIEW_HISTORY)
def move_list(request: HttpRequest) -> HttpResponse:
    """List the moves that the query asks for, newest first, a page at a time."""
    form = MoveFilter(request.GET)
    page = _page(form)
    context = {"form": form, "page": page, "shown_sources": page.rows}
    return render_page(request, "geocache/moves.html", context)


def _page(form: MoveFilter) -> Page:
    """Return the page that is asked for, or an empty one and in ``form`` why."""
    if not form.is_valid():
        return Page(rows=[])
    given = form.cleaned_data
    try:
        return read_page(form.rows(), MOVE_ORDER, before=given["before"], after=given["after"])
    except InvalidCursor:
        form.add_error(None, _("This link to a page of the list is broken; begin anew."))
        return Page(rows=[])
