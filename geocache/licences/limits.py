"""How old a build may be by its licence.

The days count from the build. MaxMind counts from the release of a newer one; as that comes twice a
week, this is some days earlier, and nothing has to be asked for it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from geocache.licences.kinds import Licence
from geocache.licences.named import licence_of
from geocache.licences.texts import parts_of

# An update that fails has so many days to be repaired.
WARNING_DAYS: Final = 5

Level = Literal["warning", "critical"]


@dataclass(frozen=True, slots=True)
class Outdated:
    """A ``source`` in the table that has a part which may not be kept.

    ``resolved_before`` is set where only older answers are meant, as a service has no build.
    """

    source: str
    resolved_before: datetime | None = None


def level_of_age(licence: Licence, built_at: datetime | None, at: datetime) -> Level | None:
    """Return how bad the age of a file is that is in use, None when it is not."""
    days = licence.max_age_days
    if days is None or built_at is None:
        return None
    age = at - built_at
    if not licence.is_limit_certain:
        return "warning" if age >= timedelta(days=days) else None
    if age >= timedelta(days=days):
        return "critical"
    return "warning" if age >= timedelta(days=days - WARNING_DAYS) else None


def has_to_go(name: str, built_on: date, at: datetime) -> bool:
    """Tell whether a build, and what it said, may not be kept any more once it is replaced."""
    days = licence_of(name, built_on).removal_days
    return days is not None and at.astimezone(UTC).date() - built_on >= timedelta(days=days)


def outdated(source: str, present: Collection[str], at: datetime) -> Outdated | None:
    """Return what of the answers with this ``source`` has to go; None where all may stay.

    ``present`` are the labels of what is in use: there is nothing newer to replace it with.
    """
    before: datetime | None = None
    for part in parts_of(source):
        if part.built_on is None:
            days = licence_of(part.name, None).removal_days
            if days is not None:
                limit = at - timedelta(days=days)
                before = max(before, limit) if before else limit
        elif has_to_go(part.name, part.built_on, at) and _is_replaced(
            part.name, part.built_on, present
        ):
            return Outdated(source)
    return Outdated(source, before) if before else None


def _is_replaced(name: str, built_on: date, present: Collection[str]) -> bool:
    """Tell whether a build is not in use, nor an older one of its name, as after a step back."""
    builds = [
        one.built_on
        for label in present
        for one in parts_of(label)
        if one.name == name and one.built_on
    ]
    return not builds or (built_on not in builds and built_on < max(builds))
