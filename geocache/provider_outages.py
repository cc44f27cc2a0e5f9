"""Which providers answer nothing, as the last queries of all processes tell.

A web service that fails has no state that could be read: only its queries say so.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from geocache import counters, site_counters
from geocache.providers.base import Provider
from geocache.providers.measured import STREAK_SECONDS

# A few time-outs are no outage.
SHORTEST: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Outage:
    """A provider of which no query was answered between these moments, and none after them."""

    provider: str
    since: datetime
    last_failed_at: datetime
    # Of several providers, others may answer.
    is_only: bool

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return {
            "provider": self.provider,
            "since": self.since.isoformat(),
            "last_failed_at": self.last_failed_at.isoformat(),
        }


def read(provider: Provider, at: datetime) -> list[Outage]:
    """Return the outages of a provider and its members; raise ``CacheUnavailable``."""
    labels = list(dict.fromkeys(leaf.label for leaf in provider.leaves()))
    marks = (counters.PROVIDER_ANSWERED, counters.PROVIDER_FAILED, counters.PROVIDER_FAILING_SINCE)
    known = site_counters.read((mark, label) for label in labels for mark in marks)
    # Those of this process may not have been sent yet.
    own = counters.marks()

    def moment(mark: str, label: str) -> datetime:
        newest = max(known.get((mark, label), 0), own.get((mark, label), 0))
        return datetime.fromtimestamp(newest, UTC)

    found = []
    for label in labels:
        answered_at, failed_at, since = (moment(mark, label) for mark in marks)
        # What another process was answered ends the failures of all.
        since = max(since, answered_at)
        is_recent = at - failed_at < timedelta(seconds=STREAK_SECONDS)
        if is_recent and failed_at - since >= SHORTEST:
            found.append(Outage(label, since, failed_at, is_only=len(labels) == 1))
    return found
