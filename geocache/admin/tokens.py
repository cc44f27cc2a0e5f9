"""API tokens in the Django admin: made, shown once, revoked by deleting."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext

from geocache.admin.parameters import CheckedAdmin
from geocache.models import ApiToken


@admin.register(ApiToken)
class ApiTokenAdmin(CheckedAdmin):
    """Everybody makes tokens for themselves; superusers also for others, and see them all."""

    list_display = ("name", "user", "created_at")
    list_select_related = ("user",)
    readonly_fields = ("created_at",)
    # A list of all users could be of any length. A search in a menu needs the project's admin of
    # users, and fails on a forged key.
    raw_id_fields = ("user",)

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> list[Any]:
        """Ask for a user only those who may choose one."""
        if obj is None:
            return ["user", "name"] if _is_superuser(request) else ["name"]
        return ["user", "name", "created_at"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Propose the user who asks, whatever the link says: it could name no user at all."""
        return super().get_changeform_initial_data(request) | {"user": request.user.pk}

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """Show everybody their own."""
        tokens: QuerySet[ApiToken] = super().get_queryset(request)
        return tokens if _is_superuser(request) else tokens.filter(user=request.user.pk)

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Let nobody hand a token on: whoever has it would ask in another's name."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """Make the token, and keep it for the page that shows it."""
        if obj.user_id is None:
            obj.user_id = request.user.pk
        request.new_api_token = obj.set_token()  # type: ignore[attr-defined]  # for response_add
        super().save_model(request, obj, form, change)

    def response_add(
        self,
        request: HttpRequest,
        obj: ApiToken,
        post_url_continue: str | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """Show the token at once: a message would keep it in a cookie or a session."""
        context = self.admin_site.each_context(request) | {
            "title": gettext("Copy this token"),
            "opts": self.opts,
            "api_token": obj,
            "secret": request.new_api_token,  # type: ignore[attr-defined]  # from save_model
        }
        response = TemplateResponse(request, "geocache/admin_token.html", context)
        patch_cache_control(response, no_store=True)
        return response


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))
