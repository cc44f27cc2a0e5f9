"""The signals of a look-up, held back until it holds no lock and can answer the same again.

Without a receiver all of it is one test of an attribute for each new answer.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from geocache import signals
from geocache.location import Location
from geocache.models import GeoCache
from geocache.models.connection import after_commit
from geocache.signals import LocationChange


@dataclass(slots=True)
class Announcements:
    """What one call has recorded, and the rows that it has changed."""

    recorded: dict[str, Location] = field(default_factory=dict)
    changes: list[LocationChange] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Tell whether there is something to send."""
        return bool(self.recorded or self.changes)

    def add(self, other: "Announcements") -> None:
        """Take over what another has."""
        self.recorded |= other.recorded
        self.changes += other.changes

    def send(self) -> None:
        """Send what there is, outside of any block that holds signals back."""
        if self.changes:
            after_commit(lambda: send_changes(self.changes))
        known = _announced.get()
        new = {text: one for text, one in self.recorded.items() if text not in known}
        if not new:
            return
        # A receiver may look up the same address, with no cache to know it from: once is enough.
        token = _announced.set(known.union(new))
        try:
            signals.send(signals.location_recorded, Location, locations=MappingProxyType(new))
        finally:
            _announced.reset(token)


UNHEARD: Final = nullcontext()
_held_back: Final[ContextVar[Announcements | None]] = ContextVar("geocache_held", default=None)
# Addresses whose receivers are running.
_announced: Final[ContextVar[frozenset[str]]] = ContextVar(
    "geocache_announced", default=frozenset()
)


def held_back() -> AbstractContextManager[None]:
    """Send what is announced in the block together, and at its end, also when it raises."""
    if signals.location_recorded.receivers or signals.location_changed.receivers:
        return _holding_back()
    return UNHEARD


@contextmanager
def held_in(announcements: Announcements) -> Iterator[None]:
    """Leave what is announced in the block to the caller, who sends it."""
    token = _held_back.set(announcements)
    try:
        yield
    finally:
        _held_back.reset(token)


@contextmanager
def _holding_back() -> Iterator[None]:
    if _held_back.get() is not None:
        yield
        return
    announcements = Announcements()
    try:
        with held_in(announcements):
            yield
    finally:
        announcements.send()


def announce_recorded(locations: Sequence[Location]) -> None:
    """Announce answers that will not be lost any more."""
    if signals.location_recorded.receivers:
        _announce(Announcements(recorded={one.address: one for one in locations}))


def announce_changes(changes: Sequence[LocationChange]) -> None:
    """Announce rows that a look-up has changed, which it does where the cache is away."""
    if changes and signals.location_changed.receivers:
        _announce(Announcements(changes=list(changes)))


def send_changes(changes: Sequence[LocationChange]) -> None:
    """Send the changes of one transaction, which has committed."""
    if changes:
        signals.send(signals.location_changed, GeoCache, changes=list(changes))


def _announce(new: Announcements) -> None:
    held = _held_back.get()
    if held is None:
        new.send()
    else:
        held.add(new)
