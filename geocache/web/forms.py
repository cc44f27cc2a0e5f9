"""The look-up form: the addresses in a text or a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext_lazy as _

from geocache.addresses.handed_in import (
    MAX_ADDRESSES,
    MAX_LINES,
    LineWithout,
    read_lines,
    reading_cost,
    split_lines,
)
from geocache.text import strip_unprintable
from geocache.web.uploads import read_text

MAX_CHARACTERS: Final = 100_000
SHOWN_BAD_LINES: Final = 20

NETWORK: Final = _("“%(text)s” is a network; give one address of it.")
NO_ADDRESS: Final = _("“%(text)s” is not an IP address.")
NONE_IN_LINE: Final = _("There is no IP address in “%(text)s”.")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line in which an address was meant, and is not."""

    line: LineWithout

    @property
    def number(self) -> int:
        """Return where it is, counted from 1."""
        return self.line.number

    def message(self) -> str:
        """Return what is wrong with it, in the reader's language."""
        line = self.line
        if line.is_network:
            return NETWORK % {"text": line.word}
        return (NO_ADDRESS if line.word == line.text else NONE_IN_LINE) % {"text": line.shown}


def _for_free(count: int, *, spent: int = 0) -> None:
    """Let any number of addresses be asked for."""


class AddressesInput(forms.Textarea):
    """A text area that takes any text and gives back what a page can hold."""

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> str:
        """Replace what cannot be shown, so that the line it is on can be named."""
        return strip_unprintable(super().value_from_datadict(data, files, name) or "")

    def format_value(self, value: Any) -> str | None:
        """Leave out a text that is far too long, rather than send megabytes back."""
        return "" if value and len(value) > MAX_CHARACTERS else value


class LookupForm(forms.Form):
    """Addresses to look up. A line without any does not stop the others."""

    # Before the text, whose place it takes.
    file = forms.FileField(
        label=_("Or a file"),
        help_text=_(
            "A text of up to 2 MB, also packed (gzip, bzip2, xz). It takes the place of the text "
            "above."
        ),
        required=False,
        allow_empty_file=True,
    )
    # No max_length: with it a browser silently cuts off what is pasted.
    addresses = forms.CharField(
        label=_("IP addresses"),
        help_text=_("A list, or lines of a log: every IPv4 and IPv6 address in it is found."),
        strip=False,
        required=False,
        widget=AddressesInput(
            attrs={"rows": 6, "spellcheck": "false", "autocomplete": "off", "autocapitalize": "off"}
        ),
        validators=[
            MaxLengthValidator(
                MAX_CHARACTERS,
                _("This is more than 100,000 characters. Use manage.py lookup_geo --file for it."),
            )
        ],
        error_messages={"required": _("Enter at least one IP address.")},
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        files: Any = None,
        *,
        spend: Callable[..., None] = _for_free,
    ) -> None:
        """Take what ``spend`` lets be asked for, in addresses: an error of it is not the form's."""
        super().__init__(data, files, label_suffix="")
        self.spend = spend
        self.bad_lines: list[BadLine] = []
        # Lines of a log that hold no address, and need not.
        self.other_line_count = 0

    def clean_file(self) -> str:
        """Return the text of the file, or the empty text."""
        file = self.cleaned_data["file"]
        return strip_unprintable(read_text(file)) if file else ""

    def clean_addresses(self) -> list[str]:
        """Return the addresses, normalised, each once and in their order."""
        if "file" in self.errors:
            return []
        uploaded = self.cleaned_data["file"]
        text = uploaded or self.cleaned_data["addresses"]
        # To read a text takes time as well, also if there is no address in it.
        cost = reading_cost(text)
        self.spend(cost)
        lines = split_lines(text)
        if len(lines) > MAX_LINES:
            raise ValidationError(
                _("These are more than 50,000 lines. Use manage.py lookup_geo --file for them.")
            )
        reading = read_lines(lines)
        found = reading.addresses
        self.bad_lines = [BadLine(line) for line in reading.bad_lines]
        self.other_line_count = reading.other_line_count
        if not found and not self.bad_lines:
            raise ValidationError(self.fields["addresses"].error_messages["required"])
        if len(found) > MAX_ADDRESSES:
            raise ValidationError(
                _("These are more than 1,000 addresses. Use manage.py lookup_geo --file for them.")
            )
        self.spend(len(found), spent=cost)
        if uploaded:
            # A browser does not hand in the file again, when the answers are to be downloaded.
            self.data = {**self.data, "addresses": "\n".join(found)}
        return list(found)

    def bad_line_count(self) -> int:
        """Return how many lines are bad."""
        return len(self.bad_lines)

    def shown_bad_lines(self) -> list[BadLine]:
        """Return the bad lines that a reader can take in."""
        return self.bad_lines[:SHOWN_BAD_LINES]

    def hidden_bad_line_count(self) -> int:
        """Return how many bad lines are not shown."""
        return max(len(self.bad_lines) - SHOWN_BAD_LINES, 0)
