"""All settings that may change at run time: what counts, why, and a form for each."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from geocache.admin.parameters import CheckedAdmin
from geocache.models import SettingOverride

if TYPE_CHECKING:
    from geocache.admin.setting_pages import SettingPages


@admin.register(SettingOverride)
class SettingAdmin(CheckedAdmin):
    """Each setting of the catalogue is there, also while no row overrides it."""

    class Media:
        css = {"all": ["geocache/admin.css"]}  # noqa: RUF012 - read by Django's metaclass

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Refuse to add a row: each setting has a form."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        """Refuse to delete a row: a button resets the setting."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Add what the button of a row posts to."""
        view = self.admin_site.admin_view(require_POST(self.reset_view))
        name = "geocache_settingoverride_reset"
        return [path("<path:object_id>/reset/", view, name=name), *super().get_urls()]

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the row, or one that is not stored: its history can be read as well."""
        found = super().get_object(request, object_id, from_field)
        if found is None and self._pages(request).is_known(object_id):
            return SettingOverride(name=object_id)
        return found

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show all settings."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self._pages(request).all_settings(extra_context or {})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """Show the form of one setting, or save it."""
        return self._pages(request).one_setting(object_id)

    def reset_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have the value of the settings file count again."""
        return self._pages(request).reset(object_id)

    def _pages(self, request: HttpRequest) -> "SettingPages":
        # Each process loads the admin, and few need the catalogue.
        from geocache.admin.setting_pages import SettingPages  # noqa: PLC0415 - see above

        return SettingPages(self, request)
