"""What kind of value a setting has: how people write it, and how it is shown to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from geocache.setting_bounds import Bounds

# How a form asks for it.
Control = Literal["number", "select", "text", "lines"]
Text = str | Promise
# What a value in seconds or bytes is counted in as well, the largest that divides it.
LARGER: Final = {
    "seconds": ((86_400, _("%(count)s days")), (3_600, _("%(count)s h")), (60, _("%(count)s min"))),
    "bytes": (
        (2**30, _("%(count)s GiB")),
        (2**20, _("%(count)s MiB")),
        (2**10, _("%(count)s KiB")),
    ),
}
UNITS: Final = {
    "seconds": _("seconds"),
    "hours": _("hours"),
    "days": _("days"),
    "bytes": _("bytes"),
    "bits": _("bits"),
    "count": "",
}
WITH_UNIT: Final = {
    "seconds": _("%(count)s s"),
    "hours": _("%(count)s h"),
    "days": _("%(count)s days"),
    "bytes": _("%(count)s bytes"),
    "bits": "/%(count)s",
    "count": "%(count)s",
}


class Kind:
    """One kind. ``clean`` raises ``ValueError`` with a line for people."""

    control: Control = "text"

    def clean(self, text: str) -> Any:
        """Return the value that people mean by ``text``."""
        raise NotImplementedError

    def written(self, value: Any) -> str:
        """Return the text that ``clean`` makes ``value`` of."""
        return "" if value is None else str(value)

    def lines(self, value: Any) -> Sequence[str]:
        """Return what is shown of ``value``, one line for each item that it has."""
        return [self.written(value)]


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """A number within bounds; ``zero`` says what 0 means, where it is not only a small number."""

    bounds: Bounds
    unit: str = "count"
    zero: Text = ""
    control: Control = "number"

    def clean(self, text: str) -> Any:
        """Return an int, or a float where fractions are allowed."""
        value = number_of(text)
        if not self.bounds.takes(value):
            said = (
                gettext("Enter a whole number from %(least)s to %(most)s.")
                if self.bounds.is_whole
                else gettext("Enter a number from %(least)s to %(most)s.")
            )
            limits = {"least": grouped(self.bounds.least), "most": grouped(self.bounds.most)}
            raise ValueError(said % limits)
        return value

    def lines(self, value: Any) -> Sequence[str]:
        """Return it with its unit, and in larger units: ``86,400 s (1 days)``."""
        if value == 0 and self.zero:
            return [str(self.zero)]
        shown = str(WITH_UNIT[self.unit]) % {"count": grouped(value)}
        for size, words in LARGER.get(self.unit, ()):
            if value >= 2 * size and value % size == 0:
                return [f"{shown} ({str(words) % {'count': grouped(value // size)}})"]
        return [shown]


class YesNo(Kind):
    """On or off."""

    control = "select"

    def choices(self) -> list[tuple[str, Text]]:
        """Return what a form offers."""
        return [("yes", gettext("Yes")), ("no", gettext("No"))]

    def clean(self, text: str) -> bool:
        """Return a truth value."""
        if text not in ("yes", "no"):
            raise ValueError(gettext("Choose yes or no."))
        return text == "yes"

    def written(self, value: Any) -> str:
        """Return the key of a choice."""
        return "yes" if value else "no"

    def lines(self, value: Any) -> Sequence[str]:
        """Return the words of a choice."""
        return [gettext("Yes") if value else gettext("No")]


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of several texts, or None."""

    names: tuple[str, ...]
    none: Text
    control: Control = "select"

    def choices(self) -> list[tuple[str, Text]]:
        """Return what a form offers."""
        return [("", self.none), *((name, name) for name in self.names)]

    def clean(self, text: str) -> str | None:
        """Return one of the texts, None for the empty one."""
        if text and text not in self.names:
            raise ValueError(gettext("Choose one of %(names)s.") % {"names": ", ".join(self.names)})
        return text or None

    def lines(self, value: Any) -> Sequence[str]:
        """Return it as it is."""
        return [value or str(self.none)]


class Rate(Kind):
    """Limits such as ``120/minute; 2000/day``, or None for no limit."""

    def clean(self, text: str) -> str | None:
        """Return the text, without spaces around it."""
        # Its library takes 0.1 s to import.
        from geocache.rate_limit.limiter import parse_rate  # noqa: PLC0415

        rate = text.strip() or None
        try:
            parse_rate(rate)
        except ValueError as error:
            said = gettext(
                "Enter limits such as “120/minute; 2000/day”: a count from 1, then a period."
            )
            raise ValueError(said) from error
        return rate

    def lines(self, value: Any) -> Sequence[str]:
        """Return it as it is."""
        return [value or gettext("no limit")]


def grouped(number: float) -> str:
    """Return a number as people read it: ``1,000,000``."""
    return number_format(number, force_grouping=True)


def number_of(text: str) -> float | None:
    """Return the number that ``text`` is, or None."""
    text = text.strip()
    if not text.isascii() or "_" in text:
        return None
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return None
