"""The pages of the settings: all of them, the form of one, and what its buttons do."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from geocache import conf
from geocache.admin.setting_claim import OtherChange, claim
from geocache.admin.setting_form import SettingForm, confirmation, conflict_line, failure_line
from geocache.admin.setting_rows import by_group, mark, read_row, unknown
from geocache.exceptions import SettingRefused
from geocache.models import SettingOverride
from geocache.models.connection import DATABASE_ERRORS, atomic
from geocache.runtime_settings import catalogue, overrides
from geocache.runtime_settings.consequences import consequence

RESET = "reset"


class SettingPages:
    """What one request of the admin asks of the settings."""

    def __init__(self, model_admin: "ModelAdmin[Any]", request: HttpRequest) -> None:
        self.admin = model_admin
        self.request = request

    def is_known(self, name: str) -> bool:
        """Tell whether the admin may change a setting of this name."""
        return name in catalogue.ENTRIES

    def all_settings(self, extra_context: dict[str, Any]) -> HttpResponse:
        """Show all settings."""
        stored = _stored()
        context = self._context(_("Settings")) | {
            "groups": by_group(stored),
            "unknown": unknown(stored),
            "changed_count": len(stored),
            **extra_context,
        }
        return TemplateResponse(self.request, "geocache/admin/settings.html", context)

    def one_setting(self, object_id: str) -> HttpResponse:
        """Show the form of one setting, or save it."""
        name = _known(object_id)
        if not self.admin.has_view_permission(self.request):
            raise PermissionDenied
        if self.request.method != "POST":
            return self._show(name)
        if not self._may_change():
            raise PermissionDenied
        form = SettingForm(catalogue.ENTRIES[name], data=self.request.POST)
        if not form.is_valid():
            return self._show(name, form=form)
        value = form.cleaned_data["value"]
        said = consequence(name, value)
        if said and not form.is_confirmed():
            return self._show(name, form=form, consequence=said)
        return self._change(name, form, value)

    def reset(self, object_id: str) -> HttpResponse:
        """Have the value of the settings file count again."""
        name = unquote(object_id)
        request = self.request
        if not self._may_change():
            raise PermissionDenied
        if name in catalogue.ENTRIES and request.POST.get("confirmed") != RESET:
            said = consequence(name, conf.value_below(name))
            if said:
                return self._show(name, reset_consequence=said)
        if request.POST.get("seen") == mark(None):
            # Nothing was stored when the page was made.
            return self._to_list()
        try:
            with atomic():
                stored = claim(name, request.POST.get("seen", ""))
                overrides.reset(name, by=_who(request))
                self._log(name, stored, _below(name))
        except OtherChange as other:
            messages.error(request, conflict_line(other.stored))
        except DATABASE_ERRORS as error:
            messages.error(request, failure_line(error))
        else:
            messages.success(request, gettext("%(name)s is reset.") % {"name": _label(name)})
        return self._to_list()

    def _change(self, name: str, form: SettingForm, value: Any) -> HttpResponse:
        request = self.request
        try:
            with atomic():
                stored = claim(name, form.cleaned_data["seen"])
                overrides.change(name, value, by=_who(request))
                self._log(name, stored, catalogue.shown(name, value))
        except OtherChange as other:
            messages.error(request, conflict_line(other.stored))
            return self._show(name)
        except DATABASE_ERRORS as error:
            messages.error(request, failure_line(error))
            return HttpResponseRedirect(request.path)
        except SettingRefused as error:
            form.add_error("value", str(error))
            return self._show(name, form=form)
        said = gettext("%(name)s is now %(value)s. It counts in every process within 10 seconds.")
        shown = catalogue.shown(name, value)[:200]
        messages.success(request, said % {"name": _label(name), "value": shown})
        return self._to_list()

    def _log(self, name: str, before: SettingOverride | None, new: str) -> None:
        old = _shown(name, before.value) if before else _below(name)
        self.admin.log_change(self.request, SettingOverride(name=name), f"{name}: {old} → {new}")

    def _show(self, name: str, form: SettingForm | None = None, **said: Any) -> HttpResponse:
        """Show the form, with what was entered unless that is out of date."""
        stored = _stored().get(name)
        row = read_row(name, stored)
        may_change = self._may_change() and not row.is_locked
        if form is None:
            given = {"seen": mark(stored), "value": catalogue.written(name, conf.get(name))}
            form = SettingForm(row.entry, initial=given)
        context = self._context(row.entry.label) | {
            "row": row,
            "form": form if may_change else None,
            "confirmation": confirmation(form.data.get("value", "")),
            "may_reset": stored is not None and self._may_change(),
            **said,
        }
        return TemplateResponse(self.request, "geocache/admin/setting.html", context)

    def _context(self, title: Any) -> dict[str, Any]:
        return self.admin.admin_site.each_context(self.request) | {
            "title": title,
            "opts": self.admin.opts,
            "media": self.admin.media,
            "may_change": self._may_change(),
        }

    def _may_change(self) -> bool:
        return bool(self.admin.has_change_permission(self.request))

    def _to_list(self) -> HttpResponse:
        name = f"{self.admin.admin_site.name}:geocache_settingoverride_changelist"
        return HttpResponseRedirect(reverse(name))


def _stored() -> dict[str, SettingOverride]:
    """Return what is stored, and have this process count what it is about to show."""
    overrides.refresh()
    return overrides.stored()


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
