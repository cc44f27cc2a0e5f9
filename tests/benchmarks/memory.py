"""How much memory does a flush take, beside a process that has flushed nothing?"""

from datetime import UTC, datetime

from geocache.journal import writer
from geocache.models import GeoCache
from tests.benchmarks.measure import Answer, Effort, Figure, more
from tests.factories import many_locations
from tests.support.processes import WITHOUT_DEBUG, start_script

# The most that a process ever held, in MB: before and behind a flush of all that is journaled.
FLUSHER = """
from pathlib import Path
from geocache.journal.flush import flush_dirty

def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

flush_dirty()
print("ready", flush=True)
input()
idle = most()
report = flush_dirty(time_limit_seconds=3600)
print(idle, most(), report.flushed)
"""
ROWS = (100_000, 1_000_000)
QUICK_ROWS = (1_000, 5_000)
CHUNK_ROWS = 10_000


def measure(effort: Effort) -> list[Answer]:
    idle, full, bars = [], [], []
    for rows in QUICK_ROWS if effort.is_quick else ROWS:
        before, most = _peak(rows)
        idle.append(Figure(f"the idle process, then {rows:,} rows", [before], "MB"))
        full.append(Figure(f"at most while they are flushed: {rows:,}", [most], "MB"))
        bars.append(more(f"more for {rows:,} rows", full[-1], idle[-1], 64))
    bars.append(more("more for the second than for the first", full[1], full[0], 8))
    return [Answer("Memory of a flush", [*idle, *full], bars)]


def _peak(rows: int) -> tuple[float, float]:
    GeoCache.objects.all().delete()
    process = start_script(FLUSHER, **WITHOUT_DEBUG)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    at = datetime.now(UTC)
    for first in range(0, rows, CHUNK_ROWS):
        stop = min(first + CHUNK_ROWS, rows)
        writer.append(many_locations(stop, first, resolved_at=at))
    said, _ = process.communicate("\n", timeout=1800)
    assert process.returncode == 0, said
    before, most, flushed = said.split()
    assert int(flushed) == rows
    GeoCache.objects.all().delete()
    return float(before), float(most)
