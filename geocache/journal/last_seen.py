"""Notes of what was asked for, so that rows which nobody needs any more can be pruned.

A process notes an address, or the network that answered for one, once a day in the journal::

    {"v": 2, "n": 0, "day": "2026-11-24", "asked": ["81.2.69.142", "81.2.70.0/24"]}

A note is no answer: many wait for each other, and those of a process that is killed are lost, until
the address is asked for on another day. A new answer says its day itself, and needs none.
"""

import atexit
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from geocache import conf
from geocache.addresses import parse_address, parse_network
from geocache.cache import backends
from geocache.exceptions import CacheSilent, InvalidAddress, JournalUnavailable, UndecodableRecord
from geocache.journal import writer
from geocache.location import RECORD_VERSION

NAMES_PER_RECORD: Final = 200
# Names that a process remembers to have noted; beyond that some are noted twice a day.
REMEMBERED_NAMES: Final = 50_000
# How a note begins, and no record of answers: whoever counts these finds none in it.
BEGINNING: Final = f'{{"v":{RECORD_VERSION},"n":0,"day":'


@dataclass(frozen=True, slots=True)
class Note:
    """Addresses and networks that were asked for on a day of UTC."""

    day: date
    names: list[str]


def dump_note(note: Note) -> str:
    """Return the text of one journal record."""
    record = {"v": RECORD_VERSION, "n": 0, "day": note.day.isoformat(), "asked": note.names}
    return json.dumps(record, separators=(",", ":"))


def is_note(text: object) -> bool:
    """Tell whether a record of the journal is a note."""
    return isinstance(text, str) and text.startswith(BEGINNING)


def load_note(text: str) -> Note:
    """Return the note in a text of ``dump_note``; raise ``UndecodableRecord`` when it is none."""
    try:
        record = json.loads(text)
        return Note(date.fromisoformat(record["day"]), [_parsed(name) for name in record["asked"]])
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise UndecodableRecord(f"the note cannot be read: {error}") from error


def _parsed(name: object) -> str:
    if not isinstance(name, str):
        raise InvalidAddress("a name is no text")
    return str(parse_network(name) if "/" in name else parse_address(name))


class Notes:
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
            self.hand_in()

    def add_one(self, name: str) -> None:
        """Note one; most of them are noted already, and nothing waits."""
        if self.waiting or name not in self.noted or today() != self.day:
            self.add((name,))

    def add_new(self, addresses: Iterable[str]) -> None:
        """Note addresses whose answers are new: these say themselves when they were asked for."""
        self._new(addresses)

    def hand_in(self) -> None:
        """Journal what waits, without which nothing fails: what cannot be is noted anew later."""
        names, self.waiting = self.waiting, set()
        if not names:
            return
        self.due_at = time.monotonic() + conf.get("FLUSH_INTERVAL_SECONDS")
        listed = sorted(names)
        try:
            for start in range(0, len(listed), NAMES_PER_RECORD):
                note = Note(self.day, listed[start : start + NAMES_PER_RECORD])
                with backends.breaker.watch():
                    writer.append_text(dump_note(note))
        except (JournalUnavailable, CacheSilent):
            self.noted.difference_update(names)

    def _new(self, names: Iterable[str]) -> set[str]:
        """Return those that are not noted today, and count them as noted."""
        if (day := today()) != self.day:
            self.hand_in()
            self.day, self.noted = day, set()
        new = {name for name in names if name not in self.noted}
        if new:
            if len(self.noted) >= REMEMBERED_NAMES:
                self.noted = set()
            self.noted.update(new)
        return new


asked: Final = Notes()
# A short program that looks up one address after the other would else note the first alone, daily.
atexit.register(asked.hand_in)


def today() -> date:
    """Return the day of UTC."""
    return datetime.now(UTC).date()
