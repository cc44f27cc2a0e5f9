"""What the page of settings shows of each: its value, where that comes from, who changed it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from geocache import conf
from geocache.models import SettingOverride
from geocache.runtime_settings import catalogue
from geocache.runtime_settings.entry import Entry, Group
from geocache.runtime_settings.overrides import change_problem

# A list with more items is folded.
FOLDED_ITEMS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting; ``below`` is what counts again without the admin's value."""

    entry: Entry
    lines: list[str]
    is_folded: bool
    source: str
    is_default: bool
    default: str
    below: str
    is_locked: bool
    # The admin's, if there is one; and why it does not count, or the empty text.
    stored: SettingOverride | None
    ignored_because: str

    @property
    def mark(self) -> str:
        """Return what a form posts back, to tell whether another operator was faster."""
        return mark(self.stored)

    @property
    def changed_by(self) -> str:
        """Return who changed it."""
        return self.stored.changed_by if self.stored else ""

    @property
    def changed_at(self) -> datetime | None:
        """Return when it was changed."""
        return self.stored.changed_at if self.stored else None


def read_row(name: str, stored: SettingOverride | None) -> Row:
    """Return the row of a setting of the catalogue, without a query."""
    lines = catalogue.shown_lines(name, conf.get(name))
    return Row(
        entry=catalogue.ENTRIES[name],
        lines=lines,
        is_folded=len(lines) > FOLDED_ITEMS,
        source=_source(name),
        is_default=conf.source(name) == "default",
        default=catalogue.shown(name, conf.DEFAULTS[name]),
        below=catalogue.shown(name, conf.value_below(name)),
        is_locked=conf.is_locked(name),
        stored=stored,
        ignored_because=change_problem(name, stored.value) if stored else "",
    )


def by_group(stored: Mapping[str, SettingOverride]) -> list[tuple[Any, list[Row]]]:
    """Return the rows of all settings, by the label of their group."""
    names = {
        group: [one.name for one in catalogue.ENTRIES.values() if one.group is group]
        for group in Group
    }
    return [
        (group.value, [read_row(name, stored.get(name)) for name in names[group]])
        for group in Group
    ]


def unknown(stored: Mapping[str, SettingOverride]) -> list[dict[str, str]]:
    """Return what is stored of settings that this release does not let the admin change."""
    return [
        {"name": name, "value": repr(row.value), "mark": mark(row)}
        for name, row in stored.items()
        if name not in catalogue.ENTRIES
    ]


def mark(stored: SettingOverride | None) -> str:
    """Return a text that is another one after each change."""
    if stored is None:
        return "-"
    # As digits: browsers change spaces and line ends, which a name may have.
    name = stored.changed_by.encode(errors="surrogatepass").hex()
    return f"{stored.changed_at.isoformat()}/{name}"


def _source(name: str) -> str:
    match conf.source(name):
        case "admin":
            return gettext("admin")
        case "environment":
            variable = conf.value_below("ENVIRONMENT_VARIABLES").get(name, "")
            return gettext("environment (%(variable)s)") % {"variable": variable}
        case "settings file":
            return gettext("settings file")
    return gettext("default")
