"""What became of the answers that were acknowledged."""

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geocache.cache import backends
from geocache.cache.embedded import EmbeddedCache
from geocache.exceptions import FlushError
from geocache.journal import segments
from geocache.journal.backlog import read_backlog
from geocache.journal.flush import flush_dirty
from geocache.models import GeoCache, RejectedEntry
from tests.faults import ledger as faults_ledger

# Flushes that the journal has to be empty after.
FLUSHES = 20
NOTE = re.compile(r'"event": "(geo_\w+)|^([\w.]+Error: .{0,100})', re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """Counts of answers, rows and records at the end of a run."""

    acknowledged: int
    rows: int
    # Acknowledged, but not in the table; and in the table, but older than acknowledged.
    lost: int
    outdated: int
    duplicated: int
    rejected: int
    pending: int
    left_over: int
    # The first of those that are lost, to look for.
    examples: list[str]


def judge(folder: Path) -> Verdict:
    """Flush what is left, and compare the ledgers with the table."""
    pending = _flush_all()
    acknowledged, lost, outdated = 0, set(), set()
    for chunk in faults_ledger.chunks(folder):
        acknowledged += len(chunk)
        stored = _stored({address for address, _ in chunk})
        lost |= {address for address, _ in chunk if address not in stored}
        outdated |= {address for address, at in chunk if stored.get(address, at) < at}
    rows = GeoCache.objects.count()
    return Verdict(
        acknowledged=acknowledged,
        rows=rows,
        lost=len(lost),
        outdated=len(outdated),
        duplicated=rows - GeoCache.objects.values("sort_key").distinct().count(),
        rejected=RejectedEntry.objects.count(),
        pending=pending,
        left_over=sum(1 for _ in _records()),
        examples=sorted(lost | outdated)[:5],
    )


def changed_answers(folder: Path) -> list[str]:
    """Return the addresses of which the table says something else than a visitor was told."""
    found = []
    for chunk in faults_ledger.told(folder):
        rows = GeoCache.objects.filter(address__in=chunk)
        now = {row.address: row.to_location().to_plain() for row in rows.iterator()}
        found += [
            address
            for address, fields in chunk.items()
            if address in now and {name: now[address][name] for name in fields} != fields
        ]
    return found


def notes(folder: Path) -> Counter[str]:
    """Return how often the processes have logged which warning or error."""
    text = (folder / "log").read_text(errors="replace")
    return Counter(event or error for event, error in NOTE.findall(text))


def _flush_all() -> int:
    for _ in range(FLUSHES):
        try:
            if not flush_dirty(time_limit_seconds=60).pending:
                return 0
        except FlushError as error:
            print(f"FlushError: {error}", flush=True)
            time.sleep(1)
    return read_backlog().answer_count


def _stored(addresses: set[str]) -> dict[str, int]:
    rows = GeoCache.objects.filter(address__in=addresses)
    return {row.address: faults_ledger.microseconds(row.resolved_at) for row in rows.iterator()}


def _records() -> Iterator[str]:
    """Return the keys of records that are in the cache, seals left out."""
    backend = backends.current()
    for name in _keys(backend):
        key = name.removeprefix(backend.make_key(""))
        if ":r:" in key and backend.get(key) not in (None, segments.SEAL):
            yield key


def _keys(backend: Any) -> Iterator[str]:
    if not isinstance(backend, EmbeddedCache):
        client = backends.redis_client(backend)
        found = client.scan_iter(backend.make_key("*:r:*"), count=1000)
        return iter([key.decode() for key in found])
    with closing(sqlite3.connect(backend.path)) as connection:
        return iter([name for (name,) in connection.execute("SELECT key FROM entries")])
