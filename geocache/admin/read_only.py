"""Rows that people read and only the app writes."""

from typing import Any

from django.db.models import Model
from django.http import HttpRequest

from geocache.admin.parameters import CheckedAdmin


class ReadOnlyAdmin(CheckedAdmin):
    """People read these rows; only the app writes them."""

    # Whether people with the permission may delete rows all the same.
    is_deletable = False
    list_per_page = 50
    show_full_result_count = False

    class Media:
        css = {"all": ["geocache/admin.css"]}  # noqa: RUF012 - read by Django's metaclass

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Let nobody add a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Show every field as text."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tell whether a row may be deleted by hand."""
        return self.is_deletable and super().has_delete_permission(request, obj)

    def has_permission(self, request: HttpRequest, action: str) -> bool:
        """Tell whether somebody was given the permission to ``action`` all the same."""
        opts: Any = self.opts
        return request.user.has_perm(f"{opts.app_label}.{action}_{opts.model_name}")
