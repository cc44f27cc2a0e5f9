"""The state as JSON: all of it for those who may see it, names and levels for strangers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from geocache.health.finding import Finding
from geocache.health.findings import OK, overall
from geocache.health.storage import is_cache_away
from geocache.status import DATABASE, UNMIGRATED, Status

# Each part that is reported, and the part of ``status`` that has to be read to know it.
PARTS: Final[Mapping[str, str]] = {
    "cache": "cache",
    "database": DATABASE,
    "journal": "journal",
    "flush": "flushes",
    "scheduler": "scheduler",
    "jobs": "scheduler",
    "provider": "provider",
    "quota": "queries",
    "lists": "lists",
    "bans": "scheduler",
    "rejected": "flushes",
    "lost": "flushes",
}
# How a part is that could not be read, because another one is away.
UNKNOWN: Final = "unknown"


def is_ready(status: Status) -> bool:
    """Tell whether this process can serve requests.

    It cannot when nothing resolves an address, when the tables that its code needs are missing, or
    when neither cache nor database is there: a new answer could then be lost. With one of the two
    it can, and every other process is as badly off: a load balancer that took all of them out would
    make an outage of a nuisance.
    """
    if "provider" in status.errors and "provider" not in status.silent_parts:
        return False
    database_error = status.errors.get(DATABASE, "")
    if database_error.startswith(UNMIGRATED):
        return False
    return not (database_error and (is_cache_away(status) or status.is_journal_possible is False))


def for_strangers(status: Status, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return whether this process is ready, and how each part is: no texts, counts or names."""
    return {
        "status": "ready" if is_ready(status) else "not ready",
        "level": overall(findings),
        "parts": {part: {"level": level} for part, level in _levels(status, findings).items()},
    }


def in_full(status: Status, findings: Sequence[Finding], at: datetime) -> dict[str, Any]:
    """Return the same, with what is wrong and all that ``status_geo --json`` says."""
    return {
        **for_strangers(status, findings),
        "findings": [asdict(one) for one in findings],
        "state": status.to_plain(),
        "at": at.isoformat(),
    }


def _levels(status: Status, findings: Iterable[Finding]) -> dict[str, str]:
    """Return how bad each part is, also those that only a judge of its own knows."""
    by_part: dict[str, list[Finding]] = {}
    for one in findings:
        by_part.setdefault(one.part, []).append(one)
    levels: dict[str, str] = {}
    for part in dict.fromkeys([*PARTS, *by_part]):
        level: str = overall(by_part.get(part, ()))
        is_unread = PARTS.get(part) in status.failed_parts
        levels[part] = UNKNOWN if level == OK and is_unread else level
    return levels
