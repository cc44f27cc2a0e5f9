"""What can be done with the addresses that are chosen on the list.

Every process loads the admin, so what an action alone needs is imported by that action.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from geocache.admin.flush_now import FLUSH_NOW_SECONDS
from geocache.admin.parameters import CHOSEN_LIMIT
from geocache.exceptions import FlushError, InvalidAddress, ProviderError
from geocache.models import GeoCache

Rows = QuerySet[GeoCache]


@admin.action(description=_("Export the selected addresses as CSV"), permissions=["view"])
def export_chosen(_: Any, request: HttpRequest, queryset: Rows) -> StreamingHttpResponse:
    """Download the addresses, or all of the filter when all were chosen."""
    return export(request, queryset)


def export(request: HttpRequest, rows: Any) -> StreamingHttpResponse:
    """Answer with a CSV file, made while it is sent."""
    from geocache.exports import download  # noqa: PLC0415 - see above

    return download(request, rows.stream(), "csv", "addresses")


@admin.action(description=_("Resolve the selected addresses again"), permissions=["renew"])
def resolve_chosen_again(_: Any, request: HttpRequest, queryset: Rows) -> None:
    """Ask the provider anew and say how many answers are new."""
    from geocache.maintenance.resolve_again import resolve_again  # noqa: PLC0415 - see above

    addresses = _addresses(queryset)
    try:
        answer_count = len(resolve_again(addresses))
    except (InvalidAddress, ProviderError) as error:
        messages.error(request, gettext("Not resolved: %(error)s") % {"error": error})
        return
    said = ngettext(
        "%(count)d address is resolved again; the next flush writes it here.",
        "%(count)d addresses are resolved again; the next flush writes them here.",
        answer_count,
    )
    is_whole = answer_count == len(addresses)
    level = messages.SUCCESS if is_whole else messages.WARNING
    messages.add_message(request, level, said % {"count": answer_count})


@admin.action(description=_("Forget the selected addresses"), permissions=["forget"])
def forget_chosen(model_admin: Any, request: HttpRequest, queryset: Rows) -> TemplateResponse:
    """Ask whether the addresses are really to be forgotten."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Are you sure?"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "addresses": _addresses(queryset),
        "checkbox_name": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "geocache/admin/forget_confirmation.html", context)


def forget_confirmed(model_admin: Any, request: HttpRequest) -> None:
    """Forget what was confirmed, write it to the admin's history, and say how many there were."""
    from geocache.maintenance.forget import forget  # noqa: PLC0415 - see above
    from geocache.statistics.after_flush import after_flush  # noqa: PLC0415 - see above

    model_admin.check_keys(request)
    chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)[:CHOSEN_LIMIT]
    rows = list(GeoCache.objects.filter(pk__in=chosen))
    try:
        row_count = forget([row.address for row in rows], FLUSH_NOW_SECONDS)
    except (FlushError, InvalidAddress, ProviderError) as error:
        messages.error(request, gettext("Not forgotten: %(error)s") % {"error": error})
        return
    model_admin.log_deletions(request, rows)
    said = ngettext(
        "%(count)d address is forgotten.", "%(count)d addresses are forgotten.", row_count
    )
    messages.success(request, said % {"count": row_count})
    after_flush()


def _addresses(rows: Rows) -> list[str]:
    return list(rows.values_list("pk", flat=True))
