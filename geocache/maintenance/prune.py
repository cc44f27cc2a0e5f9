"""Remove what nobody has asked for: a batch of rows at a time, on one walk through the table.

Each batch is forgotten by ``geocache.maintenance.forget``. First a flush: an answer or a note that
waits in the journal counts. Then rows and hot entries are deleted, these too, so that none answers
for a row that is gone: the next lookup creates a new row. Killed anywhere, whole batches are gone
and the others are as they were.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.core.exceptions import ImproperlyConfigured

from geocache import conf
from geocache.maintenance.forget import forget
from geocache.models import GeoCache
from geocache.models.connection import writing_alias
from geocache.setting_bounds import RETENTION_DAYS

BATCH_ROWS: Final = 1000


@dataclass(slots=True)
class PruneReport:
    """What one pruning did; ``is_complete`` when it has seen every row that was due."""

    pruned: int = 0
    seconds: float = 0.0
    is_complete: bool = False


def retention_days() -> int:
    """Return ``RETENTION_DAYS``, 0 for ever; raise ``ImproperlyConfigured`` if it is no number."""
    days: int = conf.get("RETENTION_DAYS")
    if not RETENTION_DAYS.takes(days):
        raise ImproperlyConfigured(
            f"GEOCACHE has RETENTION_DAYS {days!r}; use {RETENTION_DAYS.words}."
        )
    return days


def prune(
    *,
    days: int,
    time_limit_seconds: float,
    is_stopped: Callable[[], bool] = lambda: False,
    watch: Callable[[int], object] = lambda _: None,
) -> PruneReport:
    """Remove the rows that nobody has asked for in ``days`` whole days of UTC, today not counted.

    Raises ``FlushError`` and ``ProviderError``; the batches before are then gone. Not to be called
    inside a transaction.
    """
    started = time.monotonic()
    report = PruneReport()
    first_day = _first_day(days)
    for addresses in _walk(first_day):
        if is_stopped() or time.monotonic() - started > time_limit_seconds:
            break
        report.pruned += forget(addresses, unseen_since=first_day)
        watch(len(addresses))
    else:
        report.is_complete = True
    report.seconds = round(time.monotonic() - started, 3)
    return report


def count_unseen(days: int) -> int:
    """Return how many rows ``prune`` would remove; what waits in the journal is not looked at."""
    return GeoCache.objects.using(writing_alias()).unseen_since(_first_day(days)).count()


def _first_day(days: int) -> date:
    return _today() - timedelta(days=days)


def _today() -> date:
    return datetime.now(UTC).date()


def _walk(first_day: date) -> Iterator[list[str]]:
    """Give the addresses of rows that were not asked for since, in their order."""
    rows = GeoCache.objects.using(writing_alias()).unseen_since(first_day)
    for page in rows.pages("address", size=BATCH_ROWS):
        yield [address for (address,) in page]
