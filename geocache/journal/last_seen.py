"""Last-seen tracking: when an address was last looked up, so that unused rows can be pruned.

A process notes an address, or the network that answered for one, once a day in the journal::

    {"v": 2, "n": 0, "day": "2026-11-24", "asked": ["81.2.69.142", "81.2.70.0/24"]}

Notes are best effort: they are batched, and a killed process loses its unwritten ones until the
address is looked up on another day. A new answer carries its day itself, and needs no note.
"""

import atexit
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from geocache import conf
from geocache.addresses import parse_address, parse_network
from geocache.cache import backends
from geocache.exceptions import (
    CacheUnavailable,
    InvalidAddress,
    JournalUnavailable,
    UndecodableRecord,
)
from geocache.journal import writer
from geocache.location import EPOCH, RECORD_VERSION

DAY_SECONDS: Final = 86_400
NAMES_PER_RECORD: Final = 200
# Names that a process remembers to have noted; beyond that some are noted twice a day.
REMEMBERED_NAMES: Final = 50_000
# A note begins with this, and a record of answers does not: a count of answers finds none in it.
BEGINNING: Final = f'{{"v":{RECORD_VERSION},"n":0,"day":'


@dataclass(frozen=True, slots=True)
class LastSeen:
    """Addresses and networks that were asked for on a day of UTC."""

    day: date
    names: list[str]


def dump_record(note: LastSeen) -> str:
    """Return the text of one journal record."""
    record = {"v": RECORD_VERSION, "n": 0, "day": note.day.isoformat(), "asked": note.names}
    return json.dumps(record, separators=(",", ":"))


def is_record(text: object) -> bool:
    """Tell whether a record of the journal is a note."""
    return isinstance(text, str) and text.startswith(BEGINNING)


def load_record(text: str) -> LastSeen:
    """Return the note in a text of ``dump_record``; raise ``UndecodableRecord`` for others."""
    try:
        record = json.loads(text)
        return LastSeen(
            date.fromisoformat(record["day"]), [_parsed(name) for name in record["asked"]]
        )
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise UndecodableRecord(f"the note cannot be read: {error}") from error


def _parsed(name: object) -> str:
    if not isinstance(name, str):
        raise InvalidAddress("a name is no text")
    return str(parse_network(name) if "/" in name else parse_address(name))


class LastSeenTracker:
    """What this process has noted today, and what of it waits to be journaled.

    Without a lock: what two threads lose between them is a note, and no answer.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.day = date.min
        self.noted: set[str] = set()
        self.waiting: set[str] = set()
        self.due_at = 0.0

    def add(self, names: Iterable[str]) -> None:
        """Note addresses and networks that were answered from what is known.

        The first at once, later ones once in ``FLUSH_INTERVAL_SECONDS`` or 200 together.
        """
        new = self._new(names)
        self.waiting.update(new)
        if not self.waiting:
            return
        if len(self.waiting) >= NAMES_PER_RECORD or time.monotonic() >= self.due_at:
            self.flush()

    def add_one(self, name: str) -> None:
        """Note one; most of them are noted already, and nothing waits."""
        if self.waiting or name not in self.noted or today() != self.day:
            self.add((name,))

    def add_new(self, addresses: Iterable[str]) -> None:
        """Note addresses whose answers are new: these say themselves when they were asked for."""
        self._new(addresses)

    def flush(self) -> None:
        """Write pending notes to the journal. Failures are ignored; the notes are retried later."""
        names, self.waiting = self.waiting, set()
        if not names:
            return
        self.due_at = time.monotonic() + conf.get("FLUSH_INTERVAL_SECONDS")
        listed = sorted(names)
        try:
            for start in range(0, len(listed), NAMES_PER_RECORD):
                note = LastSeen(self.day, listed[start : start + NAMES_PER_RECORD])
                with backends.breaker.guard():
                    writer.append_text(dump_record(note))
        except (JournalUnavailable, CacheUnavailable):
            self.noted.difference_update(names)

    def _new(self, names: Iterable[str]) -> set[str]:
        """Return those that are not noted today, and count them as noted."""
        if (day := today()) != self.day:
            self.flush()
            self.day, self.noted = day, set()
        new = {name for name in names if name not in self.noted}
        if new:
            if len(self.noted) >= REMEMBERED_NAMES:
                self.noted = set()
            self.noted.update(new)
        return new


tracker: Final = LastSeenTracker()


def _follow(changed: frozenset[str]) -> None:
    if "FLUSH_INTERVAL_SECONDS" in changed:
        soon = time.monotonic() + conf.get("FLUSH_INTERVAL_SECONDS")
        tracker.due_at = min(tracker.due_at, soon)


conf.on_change(_follow)
# A short program that looks up addresses one by one would otherwise note only the first, daily.
atexit.register(tracker.flush)


def today() -> date:
    """Return the day of UTC."""
    return _day(int(time.time() // DAY_SECONDS))


@lru_cache(maxsize=2)
def _day(number: int) -> date:
    return EPOCH.date() + timedelta(days=number)
