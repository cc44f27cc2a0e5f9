"""All settings that may change at run time: what counts, why, and a form for each."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from geocache import conf
from geocache.admin.parameters import CheckedAdmin
from geocache.admin.setting_claim import OtherChange, claim
from geocache.admin.setting_form import SettingForm, confirmation, conflict_line, failure_line
from geocache.admin.setting_rows import by_group, mark, read_row, unknown
from geocache.exceptions import SettingRefused
from geocache.models import SettingOverride
from geocache.models.connection import DATABASE_ERRORS, atomic
from geocache.runtime_settings import catalogue, overrides

RESET = "reset"


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
        if found is None and object_id in catalogue.ENTRIES:
            return SettingOverride(name=object_id)
        return found

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show all settings."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        stored = _stored()
        context = self._context(request, _("Settings")) | {
            "groups": by_group(stored),
            "unknown": unknown(stored),
            "changed_count": len(stored),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "geocache/admin/settings.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """Show the form of one setting, or save it."""
        name = _known(object_id)
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return self._show(request, name)
        if not self.has_change_permission(request):
            raise PermissionDenied
        form = SettingForm(catalogue.ENTRIES[name], data=request.POST)
        if not form.is_valid():
            return self._show(request, name, form=form)
        value = form.cleaned_data["value"]
        said = _consequence(name, value)
        if said and not form.is_confirmed():
            return self._show(request, name, form=form, consequence=said)
        return self._change(request, name, form, value)

    def reset_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have the value of the settings file count again."""
        name = unquote(object_id)
        if not self.has_change_permission(request):
            raise PermissionDenied
        if name in catalogue.ENTRIES and request.POST.get("confirmed") != RESET:
            said = _consequence(name, conf.value_below(name))
            if said:
                return self._show(request, name, reset_consequence=said)
        if request.POST.get("seen") == mark(None):
            # Nothing was stored when the page was made.
            return self._to_list()
        try:
            with atomic():
                stored = claim(name, request.POST.get("seen", ""))
                overrides.reset(name, by=_who(request))
                self._log(request, name, stored, _below(name))
        except OtherChange as other:
            messages.error(request, conflict_line(other.stored))
        except DATABASE_ERRORS as error:
            messages.error(request, failure_line(error))
        else:
            messages.success(request, gettext("%(name)s is reset.") % {"name": _label(name)})
        return self._to_list()

    def _change(
        self, request: HttpRequest, name: str, form: SettingForm, value: Any
    ) -> HttpResponse:
        try:
            with atomic():
                stored = claim(name, form.cleaned_data["seen"])
                overrides.change(name, value, by=_who(request))
                self._log(request, name, stored, catalogue.shown(name, value))
        except OtherChange as other:
            messages.error(request, conflict_line(other.stored))
            return self._show(request, name)
        except DATABASE_ERRORS as error:
            messages.error(request, failure_line(error))
            return HttpResponseRedirect(request.path)
        except SettingRefused as error:
            form.add_error("value", str(error))
            return self._show(request, name, form=form)
        said = gettext("%(name)s is now %(value)s. It counts in every process within 10 seconds.")
        shown = catalogue.shown(name, value)[:200]
        messages.success(request, said % {"name": _label(name), "value": shown})
        return self._to_list()

    def _log(
        self, request: HttpRequest, name: str, before: SettingOverride | None, new: str
    ) -> None:
        old = _shown(name, before.value) if before else _below(name)
        self.log_change(request, SettingOverride(name=name), f"{name}: {old} → {new}")

    def _show(
        self, request: HttpRequest, name: str, form: SettingForm | None = None, **said: Any
    ) -> HttpResponse:
        """Show the form, with what was entered unless that is out of date."""
        stored = _stored().get(name)
        row = read_row(name, stored)
        may_change = self.has_change_permission(request) and not row.is_locked
        if form is None:
            given = {"seen": mark(stored), "value": catalogue.written(name, conf.get(name))}
            form = SettingForm(row.entry, initial=given)
        context = self._context(request, row.entry.label) | {
            "row": row,
            "form": form if may_change else None,
            "confirmation": confirmation(form.data.get("value", "")),
            "may_reset": stored is not None and self.has_change_permission(request),
            **said,
        }
        return TemplateResponse(request, "geocache/admin/setting.html", context)

    def _context(self, request: HttpRequest, title: Any) -> dict[str, Any]:
        return self.admin_site.each_context(request) | {
            "title": title,
            "opts": self.opts,
            "media": self.media,
            "may_change": self.has_change_permission(request),
        }

    def _to_list(self) -> HttpResponse:
        name = f"{self.admin_site.name}:geocache_settingoverride_changelist"
        return HttpResponseRedirect(reverse(name))


def _stored() -> dict[str, SettingOverride]:
    """Return what is stored, and have this process count what it is about to show."""
    overrides.refresh()
    return overrides.stored()


def _consequence(name: str, value: Any) -> str:
    # Each process loads the admin, and few need what counts rows and reads networks.
    from geocache.runtime_settings.consequences import consequence  # noqa: PLC0415

    return consequence(name, value)


def _known(object_id: str) -> str:
    name = unquote(object_id)
    if name not in catalogue.ENTRIES:
        raise Http404
    return name


def _who(request: HttpRequest) -> str:
    return str(request.user.get_username())[:254]


def _label(name: str) -> str:
    entry = catalogue.ENTRIES.get(name)
    return str(entry.label) if entry else name


def _shown(name: str, value: Any) -> str:
    return catalogue.shown(name, value) if name in catalogue.ENTRIES else repr(value)


def _below(name: str) -> str:
    return _shown(name, conf.value_below(name)) if name in conf.DEFAULTS else "-"
