"""The look-up form: many addresses in one text, one first on each line."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext_lazy as _

from geocache.addresses import parse_address, parse_network
from geocache.exceptions import InvalidAddress

MAX_ADDRESSES: Final = 1_000
MAX_CHARACTERS: Final = 100_000
SHOWN_BAD_LINES: Final = 20
SHOWN_CHARACTERS: Final = 40
# Characters that may stand in no HTML page, however they are escaped. Source: WHATWG HTML 13.2.3.5.
UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")

NETWORK: Final = _("“%(text)s” is a network; give one address of it.")
NO_ADDRESS: Final = _("“%(text)s” is not an IP address.")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line, counted from 1, that does not begin with an address."""

    number: int
    text: str

    def message(self) -> str:
        """Return what is wrong with it, in the reader's language."""
        is_long = len(self.text) > SHOWN_CHARACTERS
        shown = self.text[:SHOWN_CHARACTERS] + "…" if is_long else self.text
        return (NETWORK if self._is_network() else NO_ADDRESS) % {"text": shown}

    def _is_network(self) -> bool:
        try:
            parse_network(self.text)
        except InvalidAddress:
            return False
        return "/" in self.text


class AddressesInput(forms.Textarea):
    """A text area that takes any text and gives back what a page can hold."""

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> str:
        """Replace what cannot be shown, so that the line it is on can be named."""
        given = super().value_from_datadict(data, files, name) or ""
        return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", given)

    def format_value(self, value: Any) -> str | None:
        """Leave out a text that is far too long, rather than send megabytes back."""
        return "" if value and len(value) > MAX_CHARACTERS else value


class LookupForm(forms.Form):
    """Addresses to look up. A bad line is kept in ``bad_lines`` and does not stop the others."""

    # No max_length: with it a browser silently cuts off what is pasted.
    addresses = forms.CharField(
        label=_("IP addresses"),
        help_text=_("One on each line, IPv4 or IPv6. What follows it, or a #, is left out."),
        strip=False,
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

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, label_suffix="")
        self.bad_lines: list[BadLine] = []

    def clean_addresses(self) -> list[str]:
        """Return the addresses as they were written, each once and in their order."""
        good: dict[str, None] = {}
        for number, text in _first_words(self.cleaned_data["addresses"]):
            try:
                parse_address(text)
                good[text] = None
            except InvalidAddress:
                self.bad_lines.append(BadLine(number, text))
        if len(good) > MAX_ADDRESSES:
            raise ValidationError(
                _("These are more than 1,000 addresses. Use manage.py lookup_geo --file for them.")
            )
        if not good and not self.bad_lines:
            raise ValidationError(self.fields["addresses"].error_messages["required"])
        return list(good)

    def bad_line_count(self) -> int:
        """Return how many lines are bad."""
        return len(self.bad_lines)

    def shown_bad_lines(self) -> list[BadLine]:
        """Return the bad lines that a reader can take in."""
        return self.bad_lines[:SHOWN_BAD_LINES]

    def hidden_bad_line_count(self) -> int:
        """Return how many bad lines are not shown."""
        return max(len(self.bad_lines) - SHOWN_BAD_LINES, 0)


def _first_words(text: str) -> Iterator[tuple[int, str]]:
    """Give the number and the first word of each line that is neither blank nor a comment."""
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if words := line.partition("#")[0].split(maxsplit=1):
            yield number, words[0]
