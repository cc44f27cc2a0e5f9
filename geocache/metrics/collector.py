"""The state of geocache and what its processes have counted, read when Prometheus scrapes.

All of it is in the database and in the cache, so that each process gives the same figures. What
hangs is not waited for.
"""

import platform
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from weakref import WeakSet

import django

import geocache
from geocache import conf, extras
from geocache.health.storage import is_cache_away
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.metrics import counted, families, reading, state
from geocache.metrics.families import Metric
from geocache.metrics.reading import BANS, COUNTERS, TABLE, Reading
from geocache.statistics.table import Snapshot
from geocache.status import DATABASE, Status
from geocache.text import first_line

with extras.needed("metrics"):
    from prometheus_client import core

log = get_logger(__name__)
unexpected: Final = LogThrottle(seconds=60)

# How long a scrape waits for parts that do not answer.
DEADLINE_SECONDS: Final = 0.5

_registered: Final = WeakSet[core.CollectorRegistry]()


def register(registry: core.CollectorRegistry = core.REGISTRY) -> None:
    """Have ``registry`` collect the state: once, however often this is called. Reads nothing."""
    if registry not in _registered:
        registry.register(GeocacheCollector())
        _registered.add(registry)


class GeocacheCollector:
    """Collect state and counters; never raises. A part that cannot be read is not up."""

    def describe(self) -> list[Metric]:
        """Return the families without samples: a registry would scrape to know their names."""
        nothing = Status()
        of_state = [family for make in state.PARTS.values() for family in make(nothing)]
        return [
            *of_state,
            *(family for make in OWN_PARTS.values() for family in make(None)),
            counted.last_successes({}, ()),
            state.findings(nothing),
            *_process(),
            _parts_up({}),
        ]

    def collect(self) -> list[Metric]:
        """Return the families that have samples."""
        read = reading.read(DEADLINE_SECONDS)
        for part, error in read.errors.items():
            _report(f"{part}: {error}")
        found = _of_parts(read)
        up = {part: one is not None for part, one in found.items()}
        known = read.values.get(COUNTERS) or {}
        found["jobs"] = _attempt(lambda: [counted.last_successes(known, read.status.job_runs)])
        found["findings"] = _attempt(lambda: [state.findings(read.status)])
        read_families = (family for some in found.values() for family in some or ())
        return [*(one for one in read_families if one.samples), *_process(), _parts_up(up)]


def _of_parts(read: Reading) -> dict[str, list[Metric] | None]:
    """Return the families of each part, None of one that cannot be read."""
    failed = read.status.failed_parts
    found: dict[str, list[Metric] | None] = {}
    for part, make in state.PARTS.items():
        found[part] = None if part in failed else _attempt(partial(make, read.status))
    # What a cache can do is known for minutes; the counters are read from it each time.
    if is_cache_away(read.status) or COUNTERS not in read.values:
        found["cache"] = None
    found[DATABASE] = None if DATABASE in read.status.errors else []
    for part, make_own in OWN_PARTS.items():
        is_read = part in read.values
        found[part] = _attempt(partial(make_own, read.values[part])) if is_read else None
    return found


def _attempt(make: Callable[[], list[Metric]]) -> list[Metric] | None:
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - it would take the host's own metrics with it
        _report(first_line(error))
        return None


def _report(problem: str) -> None:
    if unexpected.is_due():
        log.warning("geo_metrics_failed", error=problem)


def _parts_up(is_up: dict[str, bool]) -> Metric:
    return families.gauges("part_up", "Whether a part could be read.", "part", is_up.items())


def _process() -> list[Metric]:
    versions = {
        "version": geocache.__version__,
        "python": platform.python_version(),
        "django": django.get_version(),
    }
    changed = "Settings that the admin has changed, and that count in this process."
    return [
        families.info("build", "Which release runs.", versions),
        families.gauge("settings_changed", changed, len(conf.overridden())),
    ]


def _table(kept: Snapshot | None) -> list[Metric]:
    count, at = (kept.row_count, kept.made_at) if kept else (None, None)
    return [
        families.gauge("rows", "Rows of the table, as counted after a flush.", count),
        families.gauge("rows_counted_timestamp_seconds", "When the rows were counted.", at),
    ]


def _bans(count: int | None) -> list[Metric]:
    return [families.gauge("bans", "Bans in force.", count)]


def _counters(known: counted.Counted | None) -> list[Metric]:
    return counted.of_each(known)


# Each is given what was read of its part; None: nothing yet, or to tell the names.
OWN_PARTS: Final[dict[str, Callable[[Any], list[Metric]]]] = {
    TABLE: _table,
    BANS: _bans,
    COUNTERS: _counters,
}
