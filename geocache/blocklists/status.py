"""How each list is: when it was imported, what it holds, what is banned, and what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.db.models import Count, OuterRef, Subquery

from geocache import conf
from geocache.bans import apply as bans
from geocache.bans.preview import preview
from geocache.bans.protection import Reason
from geocache.locks.process_identity import is_gone
from geocache.models import Ban, ImportRun, ImportSource, ListedAddress

# A list of the settings is overdue when it was not looked at for so many of its pauses, and an hour
# at least.
OVERDUE_PAUSES: Final = 2


class ListState(StrEnum):
    """How the last import of a list went."""

    NEVER = "never"
    RUNNING = "running"
    # The process that imported it is gone; the next import goes on.
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOverview:
    """One list; counts and age are None until the table holds a whole content of it."""

    name: str
    state: ListState
    is_configured: bool
    is_overdue: bool = False
    # When a content was last applied, or found to be the one that the table holds.
    imported_at: datetime | None = None
    age_seconds: float | None = None
    entry_count: int | None = None
    network_count: int | None = None
    problem: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain JSON types; programs know the two counts by shorter names."""
        return {
            "name": self.name,
            "state": self.state.value,
            "is_configured": self.is_configured,
            "is_overdue": self.is_overdue,
            "imported_at": self.imported_at.isoformat() if self.imported_at else None,
            "age_seconds": self.age_seconds,
            "entries": self.entry_count,
            "networks": self.network_count,
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BanOverview:
    """What is banned because of lists; ``is_due``: there are bans to apply, or to end."""

    count: int
    has_action: bool
    # False: BANS_ENABLED switches bans off, and those that are left end with the next run.
    is_enabled: bool = True
    is_due: bool
    by_list: Mapping[str, int]
    # Of the entries that are listed and never banned, by the reason.
    skipped: Mapping[Reason, int]


def read_lists(at: datetime) -> tuple[ListOverview, ...]:
    """Return all lists by their names, those of the settings that never came among them.

    One query, of a row for each list.
    """
    newest = ImportRun.objects.filter(source=OuterRef("pk")).order_by("-started_at")
    sources = ImportSource.objects.defer("figures").select_related("current_run")
    sources = sources.annotate(
        newest_state=Subquery(newest.values("state")[:1]),
        newest_error=Subquery(newest.values("error")[:1]),
    )
    configured = conf.get("IMPORT_SOURCES")
    found = [_overview(one, one.name in configured, at) for one in sources]
    missing = set(configured).difference(one.name for one in found)
    found += [
        ListOverview(name=name, state=ListState.NEVER, is_configured=True) for name in missing
    ]
    return tuple(sorted(found, key=lambda one: one.name))


def read_bans() -> BanOverview | None:
    """Return what is banned, None where nothing is and nothing shall be; raise ``BanError``.

    The database goes through all that is listed; little of it is read here.
    """
    count = Ban.objects.count()
    action = bans.current()
    due = preview(action) if action else None
    if not (count or due):
        return None
    banned = ListedAddress.objects.listed().filter(entry__in=Ban.objects.values("entry"))
    by_list = banned.order_by().values_list("source__name").annotate(count=Count("*"))
    return BanOverview(
        count=count,
        has_action=action is not None,
        is_enabled=bans.is_enabled(),
        is_due=due is not None and due.is_due,
        by_list=dict(by_list.order_by("source__name")),
        skipped=due.skipped if due else {},
    )


def _overview(source: Any, is_configured: bool, at: datetime) -> ListOverview:
    run = source.current_run
    imported_at = max(filter(None, (run.finished_at, run.seen_at)), default=None) if run else None
    age = at - imported_at if imported_at else None
    problem = _problem(source)
    return ListOverview(
        name=source.name,
        state=_state(source, problem, at),
        is_configured=is_configured,
        is_overdue=is_configured and age is not None and age > _patience(),
        imported_at=imported_at,
        age_seconds=age.total_seconds() if age is not None else None,
        entry_count=run.entry_count if run else None,
        network_count=run.network_count if run else None,
        problem=" ".join(problem.split()),
    )


def _problem(source: Any) -> str:
    """Return what was wrong with the last import, or the empty text."""
    if source.problem:
        return str(source.problem)
    if source.current_run is None and source.newest_state == ImportRun.State.FAILED:
        return source.newest_error or "stopped before it was done"
    return ""


def _state(source: Any, problem: str, at: datetime) -> ListState:
    if source.holder and source.expires_at > at and not is_gone(source.holder):
        return ListState.RUNNING
    if problem:
        return ListState.FAILED
    if source.current_run is not None:
        return ListState.COMPLETE
    return ListState.INTERRUPTED if source.newest_state else ListState.NEVER


def _patience() -> timedelta:
    return timedelta(hours=max(1, OVERDUE_PAUSES * conf.get("IMPORT_HOURS")))
