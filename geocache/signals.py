"""Signals: what happened in geocache, for receivers of other apps; ``docs/signals.md`` has more.

All are sent when the thing has happened, by ``send`` below: a receiver that fails is logged, and
neither breaks nor delays anything but itself and what is sent after it. None is sent while geocache
holds a transaction, or a lock of its own, unless its text says so.
"""

import time
from collections import defaultdict
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.dispatch import Signal

from geocache.location import Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle

log = get_logger(__name__)

location_recorded: Final = Signal()
"""New answers were resolved, and will not be lost: sent once for each call that found any.

``sender``: ``geocache.location.Location``. ``locations``: a read-only mapping of addresses as text
to ``Location``. In the process and thread of the caller, before the call returns.
"""

location_changed: Final = Signal()
"""Rows hold another place, operator or kind of network; ``AnswerHistory`` has a row for each.

``sender``: ``geocache.models.GeoCache``. ``changes``: a list of ``LocationChange``, those of one
transaction. In the process that flushes, after the transaction and once the lock is released.
"""

blocklist_changed: Final = Signal()
"""An import has completed that changed a list, or a list was deleted.

``sender``: ``geocache.models.ImportSource``. ``name``: of the list. ``added_count``,
``removed_count`` and ``changed_count`` (another score or comment): of entries. ``run_id``: the key
of the ``ImportRun``, None of a list that was deleted. After the commit.
"""

database_updated: Final = Signal()
"""A newer database file was installed.

``sender``: ``geocache.providers.base.Source``. ``name``: of the database, as ``update_geo`` prints
it. ``path``: a ``pathlib.Path``. ``build``: its type and day, as in ``Location.source``. In the
process that fetched it, once the lock of updates is released.
"""

flush_finished: Final = Signal()
"""A flush has ended, whether it wrote anything or failed.

``sender``: ``geocache.models.FlushRun``. ``flushed``, ``rejected`` and ``pending``: counts of
answers. ``lost``: a count of records. ``timed_out``: a bool. ``seconds``: a float. ``error``: a
text, empty of a flush that succeeded. In the process that flushed, after all of it.
"""

NAMES: Final = {
    location_recorded: "location_recorded",
    location_changed: "location_changed",
    blocklist_changed: "blocklist_changed",
    database_updated: "database_updated",
    flush_finished: "flush_finished",
}
# Sent of each call, whatever it did: a receiver that calls the same again would never end.
NEVER_NESTED: Final = (flush_finished,)
# Receivers of one signal that take longer than this, in seconds, are logged.
SLOW_SECONDS: Final = 1.0
THROTTLE_SECONDS: Final = 60.0

_running: Final[ContextVar[tuple[Signal, ...]]] = ContextVar("geocache_running", default=())
# By signal and receiver: a receiver of look-ups may fail at each of them.
throttles: Final[defaultdict[tuple[str, str], LogThrottle]] = defaultdict(
    partial(LogThrottle, seconds=THROTTLE_SECONDS)
)


@dataclass(frozen=True, slots=True)
class LocationChange:
    """What the row of one address held, and what it holds now.

    ``kinds`` says what is different: some of country, region, city, operator and traits.
    """

    address: str
    before: Location
    after: Location
    kinds: tuple[str, ...] = ()


def send(signal: Signal, sender: type[Any], **values: Any) -> None:
    """Send ``signal`` to its receivers; log those that fail. The caller holds no lock."""
    running = _running.get()
    if not signal.receivers or (signal in running and signal in NEVER_NESTED):
        return
    name, started = NAMES[signal], time.monotonic()
    token = _running.set((*running, signal))
    try:
        responses = signal.send_robust(sender, **values)
    except Exception as error:  # noqa: BLE001 - Django could not run the async receivers
        _report_failure(name, "async receivers", error)
    else:
        for receiver, response in responses:
            if isinstance(response, Exception):
                _report_failure(name, _name_of(receiver), response)
    finally:
        _running.reset(token)
    seconds = time.monotonic() - started
    if seconds > SLOW_SECONDS and throttles[name, ""].is_due():
        log.warning("geo_signal_receivers_slow", signal=name, seconds=round(seconds, 3))


def _report_failure(signal: str, receiver: str, error: Exception) -> None:
    if throttles[signal, receiver].is_due():
        said = f"{type(error).__name__}: {error}"
        log.error("geo_signal_receiver_failed", signal=signal, receiver=receiver, error=said)


def _name_of(receiver: Any) -> str:
    of_class = type(receiver)
    module = getattr(receiver, "__module__", of_class.__module__)
    return f"{module}.{getattr(receiver, '__qualname__', of_class.__qualname__)}"
