"""Fields of forms that Django's own would make slowly."""

from typing import Any, Final

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

CHOSEN: Final = SafeString(" selected")


class LongSelect(forms.Select):
    """A choice of hundreds, in any case; Django's own renders two templates for each."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:  # noqa: ARG002 - Django's signature
        """Return the field, with the choice that is ``value`` chosen."""
        given = str(value or "").upper()
        options = (
            (key, CHOSEN if str(key).upper() == given else "", label) for key, label in self.choices
        )
        return format_html(
            "<select{}>{}</select>",
            flatatt(self.build_attrs(self.attrs, {"name": name, **(attrs or {})})),
            format_html_join("\n", '<option value="{}"{}>{}</option>', options),
        )
