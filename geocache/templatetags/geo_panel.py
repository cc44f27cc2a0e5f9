"""The state of geocache on the first page of an admin: ``{% load geo_panel %}{% geo_panel %}``."""

from typing import Any

from django import template

from geocache.exceptions import JournalUnavailable
from geocache.journal.backlog import Backlog, read_backlog
from geocache.models import FlushRun
from geocache.permissions import VIEW_ADDRESSES, missing

register = template.Library()


@register.inclusion_tag("geocache/admin/_panel.html", takes_context=True)
def geo_panel(context: template.RequestContext) -> dict[str, Any]:
    """Show what is pending and the last flush to those who may view flushes."""
    user = context["user"]
    if not user.has_perm("geocache.view_flushrun"):
        return {}
    return {
        "may_view": True,
        "may_open_pages": not missing(user, VIEW_ADDRESSES),
        "may_view_settings": user.has_perm("geocache.view_settingoverride"),
        "may_flush": user.has_perm("geocache.change_geocache"),
        "backlog": _backlog(),
        "last_flush": FlushRun.objects.order_by("-started_at").first(),
        "csrf_token": context.get("csrf_token"),
    }


def _backlog() -> Backlog | None:
    try:
        return read_backlog()
    except JournalUnavailable:
        return None
