"""Refresh or remove what a licence does not allow to be kept: data of builds that are outdated.

Of each source in the table that has to go, rows are resolved again, a chunk at a time, and flushed;
a row that has no new answer then is removed. After them go history entries and rejected entries of
such sources. Data of other licences is not touched: an address may keep the history that another
database gave it. Killed anywhere, what is left still names its source, and the next run goes on.

Nothing is paid for: of a paid provider only what it answers for free is asked. A provider that
fails ends the run before anything is removed for want of a new answer.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Any, Final

from django.db.models import Q, QuerySet
from msgspec.structs import replace

from geocache.batches import batches
from geocache.databases import replaced
from geocache.databases.update import folder
from geocache.exceptions import FlushError, UndecodableRecord
from geocache.journal.flush import flush_dirty
from geocache.journal.recorder import record
from geocache.licences.limits import Outdated, outdated
from geocache.location import load_locations
from geocache.maintenance.forget import delete_rows
from geocache.maintenance.resolve_again import resolve_again
from geocache.models import AnswerHistory, GeoCache, GeoCacheQuerySet, RejectedEntry
from geocache.models.connection import atomic, writing_alias
from geocache.models.history import SUCCESSOR
from geocache.providers import factory
from geocache.providers.base import Provider, Source

BATCH_ROWS: Final = 1000
# Rows that are resolved again before they are flushed, and looked at.
CHUNK_ROWS: Final = 5 * BATCH_ROWS
# History entries, or rejected ones, of one page of the walk.
PAGE_ROWS: Final = 5000
# What took the place of an answer is data of the next one.
FORGOTTEN_SUCCESSOR: Final = {name: None if name == "new_asn" else "" for name in SUCCESSOR}


@dataclass(slots=True)
class LicenceReport:
    """What one run did, or would do; ``is_complete`` when nothing is left that has to go."""

    refreshed: int = 0
    removed: int = 0
    history: int = 0
    rejected: int = 0
    files: int = 0
    seconds: float = 0.0
    is_complete: bool = False


class _Stopped(Exception):
    """The time is over, or the process ends."""


def clean_up(
    *,
    time_limit_seconds: float,
    is_stopped: Callable[[], bool] = lambda: False,
    watch: Callable[[int], object] = lambda _: None,
    at: datetime | None = None,
) -> LicenceReport:
    """Refresh or remove what has to go at ``at`` (now).

    Raises ``ProviderError``, ``FlushError``, ``JournalUnavailable`` and what the database raises;
    what was done before stays done. Not to be called inside a transaction.
    """
    started = time.monotonic()
    at = at or datetime.now(UTC)
    report = LicenceReport()

    def check() -> None:
        if is_stopped() or time.monotonic() - started > time_limit_seconds:
            raise _Stopped

    report.files = replaced.remove_expired(folder(), at)
    rule = Rule(at)
    try:
        _clean_rows(rule, report, check, watch)
        _clean_history(rule, report, check, watch)
        _clean_rejected(rule, report, check)
        report.is_complete = True
    except _Stopped:
        pass
    finally:
        report.seconds = round(time.monotonic() - started, 3)
    return report


def count_due(at: datetime | None = None) -> LicenceReport:
    """Return what ``clean_up`` would refresh or remove (``removed``), without doing it."""
    at = at or datetime.now(UTC)
    rule = Rule(at)
    report = LicenceReport(files=sum(1 for _ in replaced.expired_files(folder(), at)))
    report.removed = sum(_rows(one).count() for one in rule.sources_due())
    report.history = _history(rule).count()
    for page in _pages(RejectedEntry.objects, "record"):
        report.rejected += sum(rule.is_record_due(text) for _, text in page)
    report.is_complete = not (report.removed or report.history or report.rejected or report.files)
    return report


class Rule:
    """Which sources have to go, with what is in use now.

    Its methods raise ``ProviderError``, but only where it matters what is in use.
    """

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._known: dict[str, Outdated | None] = {}

    @cached_property
    def _present(self) -> list[Source]:
        # Asked one by one: a chain passes over a member that fails, whose data would then seem
        # to be replaced.
        return [source for one in factory.current().leaves() for source in one.sources()]

    @cached_property
    def _labels(self) -> frozenset[str]:
        return frozenset(label for source in self._present for label in source.labels)

    def among(self, sources: Iterable[str]) -> list[Outdated]:
        """Return those of ``sources`` of which answers may have to go."""
        return [one for text in sources if (one := self._of(text))]

    def sources_due(self) -> list[Outdated]:
        """Return the sources in the table of which rows may have to go."""
        return self.among(GeoCache.sources(writing_alias()))

    def is_due(self, source: str, resolved_at: datetime) -> bool:
        """Tell whether one answer has to go."""
        found = self._of(source)
        if found is None:
            return False
        return found.resolved_before is None or resolved_at < found.resolved_before

    def is_record_due(self, text: str) -> bool:
        """Tell whether an answer has to go that the database refused; not if it is unreadable."""
        try:
            answers = load_locations(text)
        except UndecodableRecord:
            return False
        return any(self.is_due(one.source, one.resolved_at) for one in answers)

    def _of(self, source: str) -> Outdated | None:
        if source not in self._known:
            found = outdated(source, (), self.at)
            self._known[source] = found and self._replaced(source)
        return self._known[source]

    def _replaced(self, source: str) -> Outdated | None:
        # The sample of 2019, as where the folder of the databases is not mounted, is nothing newer.
        if self._present and all(one.is_fallback for one in self._present):
            return None
        return outdated(source, self._labels, self.at)


def _rows(due: Outdated) -> GeoCacheQuerySet:
    rows = GeoCache.objects.using(writing_alias()).filter(source=due.source)
    return rows.filter(resolved_at__lt=due.resolved_before) if due.resolved_before else rows


def _clean_rows(
    rule: Rule, report: LicenceReport, check: Callable[[], None], watch: Callable[[int], object]
) -> None:
    provider = factory.current()
    for due in rule.sources_due():
        walk = _walk(_rows(due))
        while chunk := list(islice(walk, CHUNK_ROWS)):
            for batch in batches(chunk, BATCH_ROWS):
                check()
                _resolve(provider, batch)
            if flush_dirty().timed_out:
                raise FlushError("the time limit was over before all new answers were flushed")
            for batch in batches(chunk, BATCH_ROWS):
                removed = _remove(provider.build(), _rows(due).filter(pk__in=batch))
                report.removed += removed
                report.refreshed += len(batch) - removed
                watch(len(batch))


def _resolve(provider: Provider, addresses: list[str]) -> None:
    """Ask for new answers, and journal them; of a paid provider, those that cost nothing."""
    if not provider.is_metered:
        # A local database gives every process the same answer again.
        resolve_again(addresses, is_hot=False)
    else:
        new = provider.renew_free(addresses).values()
        record([replace(answer, is_renewed=True) for answer in new])


def _remove(build: str, rows: GeoCacheQuerySet) -> int:
    """Remove the rows that were not refreshed."""
    addresses = list(rows.values_list("pk", flat=True))
    if not addresses:
        return 0
    removed = delete_rows(build, rows, is_past_kept=True)
    entries = AnswerHistory.objects.using(writing_alias()).filter(address__in=addresses)
    newest: dict[str, tuple[datetime, int]] = {}
    for address, until, key in entries.values_list("address", "valid_until", "pk"):
        newest[address] = max(newest.get(address, (until, key)), (until, key))
    _forget_successors(key for _, key in newest.values())
    return removed


def _clean_history(
    rule: Rule, report: LicenceReport, check: Callable[[], None], watch: Callable[[int], object]
) -> None:
    for page in _pages(_history(rule), "address", "valid_from"):
        for batch in batches(page, BATCH_ROWS):
            check()
            due = {key: (address, valid_from) for key, address, valid_from in batch}
            report.history += _remove_history(due)
        watch(len(page))


def _history(rule: Rule) -> QuerySet[AnswerHistory]:
    """Return the history entries that have to go.

    The database reads its table for their sources; a row of each in Python takes 70 times as long.
    """
    entries = AnswerHistory.objects.using(writing_alias())
    due = rule.among(entries.order_by().values_list("source", flat=True).distinct())
    wanted = Q(source__in=[one.source for one in due if one.resolved_before is None])
    for one in due:
        if one.resolved_before is not None:
            wanted |= Q(source=one.source, resolved_at__lt=one.resolved_before)
    found: QuerySet[AnswerHistory] = entries.filter(wanted)
    return found


def _remove_history(due: dict[int, tuple[str, datetime]]) -> int:
    entries = AnswerHistory.objects.using(writing_alias())
    began = set(due.values())
    with atomic():
        before = entries.filter(address__in={address for address, _ in began})
        named = before.values_list("pk", "address", "valid_until")
        _forget_successors(key for key, address, until in named if (address, until) in began)
        count, _ = entries.filter(pk__in=list(due)).delete()
    return count


def _forget_successors(keys: Iterable[int]) -> None:
    """Have history entries no longer say what took their place: it is gone."""
    for batch in batches(list(keys), BATCH_ROWS):
        entries = AnswerHistory.objects.using(writing_alias()).filter(pk__in=batch)
        entries.update(**FORGOTTEN_SUCCESSOR)


def _clean_rejected(rule: Rule, report: LicenceReport, check: Callable[[], None]) -> None:
    for page in _pages(RejectedEntry.objects, "record"):
        check()
        due = [key for key, text in page if rule.is_record_due(text)]
        count, _ = RejectedEntry.objects.using(writing_alias()).filter(pk__in=due).delete()
        report.rejected += count


def _pages(found: Any, *columns: str) -> Iterator[list[tuple[Any, ...]]]:
    """Give rows, a page at a time in the order of their keys; no cursor stays open."""
    rows = found.using(writing_alias()).order_by("pk")
    page = list(rows.values_list("pk", *columns)[:PAGE_ROWS])
    while page:
        yield page
        page = list(rows.filter(pk__gt=page[-1][0]).values_list("pk", *columns)[:PAGE_ROWS])


def _walk(rows: GeoCacheQuerySet) -> Iterator[str]:
    """Give the addresses of one source, oldest first, by its index; they change while one walks."""
    ordered = rows.order_by("resolved_at", "address").values_list("resolved_at", "address")
    page = list(ordered[:BATCH_ROWS])
    while page:
        yield from (address for _, address in page)
        at, last = page[-1]
        behind = Q(resolved_at=at, address__gt=last) | Q(resolved_at__gt=at)
        page = list(ordered.filter(behind, resolved_at__gte=at)[:BATCH_ROWS])
