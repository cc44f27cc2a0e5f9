"""Read all that a scrape shows within a bounded time, whatever hangs."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from geocache import under_test
from geocache.health import parts
from geocache.health.parts import GroupReader
from geocache.instants import utc_now
from geocache.metrics import counted
from geocache.models import Ban
from geocache.statistics.table import read_statistics
from geocache.status import DATABASE, Outcome, Status
from geocache.text import first_line

COUNTERS: Final = "counters"
TABLE: Final = "table"
BANS: Final = "bans"
# Parts beside those of ``geocache.status``, each read by a thread of its own.
OWN_PARTS: Final[dict[str, Callable[[], Any]]] = {
    COUNTERS: counted.read,
    TABLE: read_statistics,
    BANS: Ban.objects.count,
}
STORED: Final = (TABLE, BANS)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: the state, the values of the other parts, and why one of these has none."""

    status: Status
    values: Mapping[str, Any]
    errors: Mapping[str, str]


def read(seconds: float) -> Reading:
    """Return what there is after ``seconds`` at the latest; never raises.

    Under a run of tests all is read in the caller's thread, as ``health.parts`` says.
    """
    if under_test.is_this_process():
        status, at = _read_status(seconds), utc_now()
        wanted = [one for one in OWN_PARTS if one not in STORED or DATABASE not in status.errors]
        return _of(status, {name: _read_part(name, at) for name in wanted})
    started = time.monotonic()
    for reader in _readers:
        reader.start(started)
    status = _read_status(seconds)
    outcomes: dict[str, Outcome] = {}
    for reader in _readers:
        reader.wait(started + seconds - time.monotonic())
        outcomes |= reader.outcomes(started)
    return _of(status, outcomes)


def _read_status(seconds: float) -> Status:
    try:
        return parts.read(seconds)
    except Exception as error:  # noqa: BLE001 - such as a database that is asked in an event loop
        return Status(errors={DATABASE: first_line(error)})


def _of(status: Status, outcomes: Mapping[str, Outcome]) -> Reading:
    errors = {name: one.error for name, one in outcomes.items() if one.error}
    values = {name: one.fields[name] for name, one in outcomes.items() if not one.error}
    return Reading(status, values, errors)


def _read_part(name: str, _: datetime) -> Outcome:
    try:
        return Outcome({name: OWN_PARTS[name]()})
    except Exception as error:  # noqa: BLE001 - one part's failure must not hide the others
        return Outcome(error=first_line(error))


_readers: Final = [GroupReader((name,), _read_part) for name in OWN_PARTS]

for _reader in _readers:
    os.register_at_fork(after_in_child=_reader.forget)
