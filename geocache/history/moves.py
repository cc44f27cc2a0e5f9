"""How many known addresses the present databases put elsewhere. Only compares; writes nothing.

The rows are resolved again, and their past is kept, by ``refresh`` in its turn.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from geocache import conf
from geocache.models import GeoCache, TraitSource
from geocache.models.changes import COMPARED, kinds_of_change
from geocache.providers.factory import make

BATCH_ROWS: Final = 1000
# To know a figure nobody waits longer; a local database answers a million rows in about a minute.
TIME_LIMIT_SECONDS: Final = 60.0


@dataclass(slots=True)
class MoveReport:
    """How many rows were compared, and how many of them moved; all of them if ``is_complete``.

    ``by_kind`` says of how many each kind of ``KINDS`` changed, which may be several of one row.
    """

    compared: int = 0
    moved: int = 0
    is_complete: bool = False
    by_kind: dict[str, int] = field(default_factory=dict)

    def add(self, kinds: Collection[str]) -> None:
        """Count a row, and what changed of it."""
        self.compared += 1
        self.moved += bool(kinds)
        for kind in kinds:
            self.by_kind[kind] = self.by_kind.get(kind, 0) + 1


def count_moves(
    *,
    time_limit_seconds: float = TIME_LIMIT_SECONDS,
    is_stopped: Callable[[], bool] = lambda: False,
    watch: Callable[[int], object] = lambda _: None,
) -> MoveReport | None:
    """Compare the table with what the databases answer now; None where an answer may cost.

    Raises ``ProviderError`` and what the database raises.
    """
    # Of its own: the one of this process may not have looked for newer files yet.
    provider = make(conf.get("PROVIDER"))
    if provider.is_metered:
        return None
    until = time.monotonic() + time_limit_seconds
    report = MoveReport()
    was_used = cache(lambda name: TraitSource.first_named(name) is not None)
    for page in GeoCache.objects.all().pages("address", *COMPARED, size=BATCH_ROWS):
        if is_stopped() or time.monotonic() >= until:
            return report
        new = provider.resolve_many(address for address, *_ in page)
        for address, *old in page:
            if address in new:
                compared = [getattr(new[address], name) for name in COMPARED]
                report.add(kinds_of_change(old, compared, was_used))
        watch(len(page))
    report.is_complete = True
    return report
