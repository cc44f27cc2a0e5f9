"""What the setting ``SOURCES`` says of files and services: their names for people, their licences.

An entry is the name alone, as ``{"city-ipv4.mmdb": "DB-IP City Lite"}``, or a dict with ``name``
and, where that name is not known, ``credit``, ``licence``, ``url`` and ``max_age_days``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from geocache import conf
from geocache.licences.kinds import UNKNOWN, Licence, is_flat, licence_by_name, name_by_file
from geocache.location import SOURCE_SEPARATOR

TEXTS: Final = ("name", "credit", "licence", "url")
KEYS: Final = (*TEXTS, "max_age_days")
# With its day, several of them fit the column of the table.
MAX_NAME_LENGTH: Final = 60
# A century; far more days lie outside of the calendar.
MAX_DAYS: Final = 36_500


@dataclass(frozen=True, slots=True)
class NamedSource:
    """What a file, a type or a service is called, and what an operator says of its licence."""

    name: str
    given: Mapping[str, Any]

    def licence(self, built_on: date | None) -> Licence:
        """Return what its name tells, with what the setting says instead."""
        known = licence_by_name(self.name, built_on)
        said = {key: self.given[key] for key in ("credit", "url") if key in self.given}
        if "licence" in self.given:
            said["name"] = self.given["licence"]
        if "max_age_days" in self.given:
            said |= {"max_age_days": self.given["max_age_days"], "is_limit_certain": True}
        return replace(known, **said)


def name_of(file_name: str, type_name: str) -> str:
    """Return what a database is called in answers: by the setting, by its file, or by its type."""
    entries = _entries()
    for key in (file_name, type_name):
        if key in entries:
            return entries[key].name
    return name_by_file(file_name, type_name) or type_name


def licence_of(name: str, built_on: date | None) -> Licence:
    """Return the licence of a source by the name that answers have for it, or by its type."""
    entries = _entries()
    for one in entries.values():
        if one.name == name:
            return one.licence(built_on)
    if name in entries:
        return entries[name].licence(built_on)
    return licence_by_name(name, built_on)


def is_unknown(name: str) -> bool:
    """Tell whether nothing says whose data a source holds."""
    return is_flat(name) and licence_of(name, None) == UNKNOWN


def problems() -> list[str]:
    """Return what cannot be used of ``SOURCES``, one line each."""
    found = []
    for key, value in conf.get("SOURCES").items():
        if not isinstance(key, str):
            found.append(f"SOURCES: {key!r} is not the name of a file, type or service")
        elif problem := _problem(value):
            found.append(f"SOURCES of {key!r}: {problem}")
    return found


def _entries() -> dict[str, NamedSource]:
    """Return the entries that can be used; of the others ``check`` says why."""
    return {
        key: NamedSource(value, {}) if isinstance(value, str) else NamedSource(value["name"], value)
        for key, value in conf.get("SOURCES").items()
        if not _problem(value)
    }


def _problem(value: Any) -> str:
    given = {"name": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        return f"it is {value!r}; it has to be a name, or a dict"
    for key in given:
        if key not in KEYS:
            return f"there is no {key!r}; choose of {', '.join(KEYS)}"
    for key in TEXTS:
        if not isinstance(given.get(key, ""), str):
            return f"{key} is {given[key]!r}; it has to be a text"
        if not given.get(key, "").isprintable():
            return f"{key} is {given[key]!r}; it has to be one line that can be shown"
    return _name_problem(given.get("name", "")) or _age_problem(given.get("max_age_days"))


def _name_problem(name: str) -> str:
    if not name or name != name.strip() or not name.isprintable():
        return "it has no name that can be shown"
    # A day follows after a space.
    if SOURCE_SEPARATOR in f"{name} ":
        return f"its name has {SOURCE_SEPARATOR!r} in it, which separates the sources of an answer"
    if len(name) > MAX_NAME_LENGTH:
        return f"its name is longer than {MAX_NAME_LENGTH} letters"
    return ""


def _age_problem(days: Any) -> str:
    if days is not None and (type(days) is not int or not 1 <= days <= MAX_DAYS):
        return (
            f"max_age_days is {days!r}; it has to be a whole number of days, from 1 to "
            f"{MAX_DAYS:,}, or null"
        )
    return ""
