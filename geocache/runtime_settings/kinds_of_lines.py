"""Kinds of several items: addresses, networks and ranges, or names with numbers, one a line."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext

from geocache.exceptions import BanError
from geocache.runtime_settings.kinds import Control, Kind, grouped, number_of

MAX_LINES: Final = 10_000


class Networks(Kind):
    """Addresses, networks and ranges, one a line."""

    control = "lines"

    def clean(self, text: str) -> list[str]:
        """Return the lines that are not empty, each once."""
        from geocache.bans.protection import networks_of  # noqa: PLC0415 - for few processes

        found = _lines_of(text)
        for number, line in found:
            try:
                networks_of("", [line])
            except BanError as error:
                said = gettext(
                    "Line %(number)d: “%(text)s” is not an address, a network or a range."
                )
                raise ValueError(said % {"number": number, "text": line[:60]}) from error
        return list(dict.fromkeys(line for _number, line in found))

    def written(self, value: Any) -> str:
        """Return one a line."""
        return "\n".join(self._texts(value))

    def lines(self, value: Any) -> Sequence[str]:
        """Return all, or that there is none."""
        return self._texts(value) or [gettext("none")]

    def _texts(self, value: Iterable[Any]) -> list[str]:
        is_ordered = isinstance(value, list | tuple)
        return [str(one) for one in (value if is_ordered else sorted(value, key=str))]


@dataclass(frozen=True, slots=True)
class Pairs(Kind):
    """Names with a number each, as lines ``name = number``."""

    takes: Callable[[Any], bool]
    control: Control = "lines"

    def clean(self, text: str) -> dict[str, Any]:
        """Return a dict of the lines."""
        found: dict[str, Any] = {}
        for number, line in _lines_of(text):
            # From the right: a name may hold "=".
            name, _equals, digits = (part.strip() for part in line.rpartition("="))
            value = number_of(digits)
            if not name or not self.takes(value):
                said = gettext("Line %(number)d: enter a name and a number, such as “name = 100”.")
                raise ValueError(said % {"number": number})
            if name in found:
                said = gettext("Line %(number)d: “%(name)s” is there twice.")
                raise ValueError(said % {"number": number, "name": name[:60]})
            found[name] = value
        return found

    def written(self, value: Mapping[str, Any]) -> str:
        """Return one a line."""
        return "\n".join(f"{name} = {_plain(number)}" for name, number in value.items())

    def lines(self, value: Mapping[str, Any]) -> Sequence[str]:
        """Return all, or that there is none."""
        shown = [f"{name}: {grouped(_plain(number))}" for name, number in value.items()]
        return shown or [gettext("none")]


def _plain(number: float) -> float:
    """Return 3 for 3.0."""
    return int(number) if number == int(number) else number


def _lines_of(text: str) -> list[tuple[int, str]]:
    """Return the lines that are not empty, with their numbers."""
    found = [(at, line.strip()) for at, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(found) > MAX_LINES:
        raise ValueError(gettext("Enter at most %(count)s lines.") % {"count": grouped(MAX_LINES)})
    return found
