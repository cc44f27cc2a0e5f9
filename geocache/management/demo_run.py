"""One trial of geocache: look addresses up, look at what is dirty, flush it. For the demo."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup, lookup_many
from geocache.statistics.after_flush import after_flush
from geocache.status import plain_source, read_status

CHUNK_ADDRESSES: Final = 1000


@dataclass(slots=True)
class Trial:
    """What was done, in counts, and how long it took, in seconds."""

    address_count: int = 0
    found_count: int = 0
    countries: set[str] = field(default_factory=set)
    first_seconds: float = 0.0
    known_seconds: float = 0.0
    pending_count: int = 0
    flushed_count: int = 0
    left_count: int = 0
    flush_seconds: float = 0.0
    row_count: int | None = None

    @property
    def first_rate(self) -> int:
        """Return how many addresses were looked up for the first time in a second."""
        return round(self.address_count / self.first_seconds) if self.first_seconds else 0

    @property
    def known_rate(self) -> int:
        """Return how many known addresses were looked up, one by one, in a second."""
        return round(self.address_count / self.known_seconds) if self.known_seconds else 0

    def resolve(self, addresses: Sequence[str], report: Callable[[int], object]) -> None:
        """Look addresses up twice, and ``report`` each time how many more are done."""
        for start in range(0, len(addresses), CHUNK_ADDRESSES):
            chunk = addresses[start : start + CHUNK_ADDRESSES]
            self._look_up(chunk)
            report(len(chunk))
        self.pending_count = read_status().pending_count or 0

    def flush(self) -> None:
        """Write what is dirty to the table; raise ``FlushError``."""
        report = flush_dirty()
        after_flush()
        self.flushed_count = report.flushed
        self.left_count = report.pending
        self.flush_seconds = report.seconds
        self.row_count = read_status().row_count

    def to_plain(self) -> dict[str, Any]:
        """Return the figures as plain JSON types."""
        return {
            "addresses": self.address_count,
            "found": self.found_count,
            "countries": len(self.countries),
            "first_per_second": self.first_rate,
            "known_per_second": self.known_rate,
            "dirty": self.pending_count,
            "flushed": self.flushed_count,
            "pending": self.left_count,
            "seconds": self.flush_seconds,
            "rows": self.row_count,
            "sources": [plain_source(source) for source in read_status().sources],
        }

    def _look_up(self, chunk: Sequence[str]) -> None:
        started = time.perf_counter()
        answers = lookup_many(chunk)
        answered = time.perf_counter()
        for address in chunk:
            lookup(address)
        self.first_seconds += answered - started
        self.known_seconds += time.perf_counter() - answered
        self.address_count += len(chunk)
        self.found_count += sum(map(bool, answers.values()))
        self.countries.update(one.country_code for one in answers.values() if one.country_code)
