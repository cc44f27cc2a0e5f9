"""Resolve rows again whose answers may be wrong by now: a batch at a time, for a limited time.

First the rows of a build of the database that is not in use any more, then those that are older
than ``ROW_TTL_SECONDS``, then those of which nothing was known, each after a pause that doubles.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from django.db.models import Q

from geocache import conf
from geocache.exceptions import MeteredProvider
from geocache.journal.flush import flush_dirty
from geocache.maintenance.resolve_again import resolve_again
from geocache.models import GeoCache, GeoCacheQuerySet
from geocache.models.connection import writing_alias
from geocache.providers import factory
from geocache.providers.base import Provider, is_outdated

BATCH_ROWS: Final = 1000
# Of a provider that costs: it may be slow, and what it answered is recorded behind each batch.
METERED_ROWS: Final = 50
# Answers that wait in the cache before they are flushed.
FLUSHED_ROWS: Final = 20 * BATCH_ROWS
# What is never found is asked for once in so many days at last.
LONGEST_PAUSE: Final = timedelta(days=60)


@dataclass(slots=True)
class RefreshReport:
    """What one refresh did; ``is_complete`` when no row is left that was due."""

    resolved: int = 0
    failed: int = 0
    seconds: float = 0.0
    is_complete: bool = False


def refresh(
    *,
    time_limit_seconds: float,
    limit: int | None = None,
    is_metered: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
    watch: Callable[[int], object] = lambda _: None,
) -> RefreshReport:
    """Resolve up to ``limit`` rows again that are due, and flush the answers.

    What the provider fails on stays as it is. Raises ``MeteredProvider`` unless ``is_metered`` says
    that it may cost something, ``ProviderError`` when the provider answers nothing at all, and
    ``FlushError``; a provider whose answers run out has the rows before that refreshed.
    """
    provider = factory.current()
    if provider.is_metered and not is_metered:
        raise MeteredProvider("each answer of the provider may cost something")
    started = time.monotonic()
    report = RefreshReport()
    batch_rows = METERED_ROWS if provider.is_metered else BATCH_ROWS
    due = islice(due_addresses(provider, datetime.now(UTC)), limit)
    try:
        while batch := list(islice(due, batch_rows)):
            if is_stopped() or time.monotonic() - started > time_limit_seconds:
                break
            # A local database gives every process the same answer again; a service has to be told.
            new = resolve_again(batch, is_hot=provider.is_metered)
            report.resolved += len(new)
            report.failed += len(batch) - len(new)
            watch(len(batch))
            if report.resolved % FLUSHED_ROWS < len(new):
                flush_dirty()
        else:
            is_limited = limit is not None and report.resolved + report.failed >= limit
            report.is_complete = not (is_limited or report.failed)
    finally:
        if report.resolved:
            flush_dirty()
        report.seconds = round(time.monotonic() - started, 3)
    return report


def due_addresses(provider: Provider, at: datetime) -> Iterator[str]:
    """Give the addresses of rows that should be resolved again, each once.

    Raises ``ProviderError`` when the provider does not know what it answers from.
    """
    outdated = Q(source__in=_outdated_sources(provider))
    old = Q(resolved_at__lt=at - timedelta(seconds=conf.get("ROW_TTL_SECONDS")))
    pause = timedelta(seconds=conf.get("NOT_FOUND_TTL_SECONDS"))
    known = GeoCache.objects.using(writing_alias()).filter(resolved_at__lt=at)
    for row in _walk(known.filter(outdated)):
        yield row.address
    for row in _walk(known.filter(old).exclude(outdated)):
        yield row.address
    for row in _walk(known.unresolved().filter(resolved_at__lt=at - pause).exclude(outdated | old)):
        # Twice as long as it took until now, without anything to remember but two moments.
        if at - row.resolved_at >= min(row.resolved_at - row.created_at, LONGEST_PAUSE):
            yield row.address


def _outdated_sources(provider: Provider) -> list[str]:
    """Return the sources in the table of which a part is not in use any more."""
    present = provider.sources()
    return [text for text in GeoCache.sources(writing_alias()) if is_outdated(text, present)]


def _walk(rows: GeoCacheQuerySet) -> Iterator[GeoCache]:
    """Give the rows, oldest first, a page at a time: they change while one walks.

    Not by an open cursor, which a flush on the same connection would disturb.
    """
    columns = rows.only("address", "resolved_at", "created_at").order_by("resolved_at", "address")
    page = list(columns[:BATCH_ROWS])
    while page:
        yield from page
        last = page[-1]
        behind = Q(resolved_at=last.resolved_at, address__gt=last.address)
        behind |= Q(resolved_at__gt=last.resolved_at)
        page = list(columns.filter(behind, resolved_at__gte=last.resolved_at)[:BATCH_ROWS])
