"""The form for one setting: a control that fits its kind, and what was seen when it was opened."""

from typing import Any, Final

from django import forms
from django.utils.translation import gettext

from geocache.models import SettingOverride
from geocache.runtime_settings import catalogue
from geocache.runtime_settings.entry import Entry
from geocache.runtime_settings.kinds import UNITS, Choice, Number, YesNo
from geocache.text import first_line

# More than all lines that a list may have.
MAX_LENGTH: Final = 1_000_000


class SettingForm(forms.Form):
    """The value as text, which the catalogue reads."""

    # What was stored when the form was opened: see ``setting_rows.mark``.
    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    # The text whose consequence was shown, and which is therefore saved.
    confirmed = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)

    def __init__(self, entry: Entry, **options: Any) -> None:
        super().__init__(**options)
        self.entry = entry
        self.fields["value"] = forms.CharField(
            label=str(entry.label),
            required=False,
            strip=False,
            max_length=MAX_LENGTH,
            widget=_widget(entry),
        )

    @property
    def unit(self) -> str:
        """Return what a number counts, for beside its control."""
        return str(UNITS[self.entry.kind.unit]) if isinstance(self.entry.kind, Number) else ""

    def clean_value(self) -> Any:
        """Return the value; say in one line why it is none."""
        try:
            return catalogue.clean(self.entry.name, self.cleaned_data["value"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def is_confirmed(self) -> bool:
        """Tell whether the consequence of this very text was shown."""
        return bool(self.cleaned_data["confirmed"]) and (
            self.cleaned_data["confirmed"] == confirmation(self.data.get("value", ""))
        )


def confirmation(text: str) -> str:
    """Return what a confirmed form holds: also the empty text can be confirmed."""
    return f"={' '.join(text.split())}"


def _widget(entry: Entry) -> forms.Widget:
    kind = entry.kind
    # Described by its help text; Django says the same of errors.
    attributes: dict[str, Any] = {"autocomplete": "off", "aria-describedby": "setting-help"}
    if isinstance(kind, YesNo | Choice):
        return forms.Select(attributes, choices=kind.choices())
    if isinstance(kind, Number):
        step = "1" if kind.bounds.is_whole else "any"
        limits = {"min": kind.bounds.least, "max": kind.bounds.most, "step": step}
        return forms.NumberInput(attributes | limits | {"required": True})
    if kind.control == "lines":
        return forms.Textarea(attributes | {"rows": 10, "cols": 50, "spellcheck": "false"})
    return forms.TextInput(attributes | {"spellcheck": "false", "size": 40})


def conflict_line(stored: SettingOverride | None) -> str:
    """Say that another operator was faster, and what counts now."""
    if stored is None:
        return gettext("Not saved: the setting was reset while this form was open. Look again.")
    said = gettext("Not saved: %(by)s changed the setting to %(value)s meanwhile. Look again.")
    value = catalogue.shown(stored.name, stored.value)
    return said % {"by": stored.changed_by or gettext("another process"), "value": value[:200]}


def failure_line(error: Exception) -> str:
    """Say that the database did not take a change: another one may have locked it."""
    said = gettext("Not saved: the database did not take the change (%(error)s). Try again.")
    return said % {"error": first_line(error)}
