"""Write hot entries to a database that was restored to a state from before they were flushed."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Final

from geocache.cache import backends
from geocache.journal import segments, table_writer
from geocache.journal.backlog import readable
from geocache.location import Location
from geocache.models import GeoCache
from geocache.models.connection import database_id, writing_alias
from geocache.signals import LocationChange

BATCH_ENTRIES: Final = 1_000


def restore(note_changes: Callable[[list[LocationChange]], object] = lambda _: None) -> int:
    """Write the answers of hot entries that the table lacks; return how many.

    ``note_changes`` is told the rows that each transaction has changed.

    Without a time limit: a walk that is cut short would begin again with each flush. Raises
    ``JournalUnavailable`` and what ``table_writer.write`` raises.
    """
    restored = 0
    keys = _keys()
    while batch := list(islice(keys, BATCH_ENTRIES)):
        missing = list(_missing(batch))
        if missing:
            written = table_writer.write(missing, is_durable=True)
            note_changes(written.changes)
            restored += written.accepted_count
    return restored


def _keys() -> Iterator[str]:
    with segments.open_journal() as backend:
        keys = backends.scan(backend, f"{backends.ENTRY_KEYS}{database_id()}")
        yield from keys or ()


def _missing(keys: Iterable[str]) -> Iterator[Location]:
    with segments.open_journal() as backend:
        texts = segments.read(backend, list(keys))
    found = [one for text in texts.values() for one in readable(text)]
    # The newest last: an address has an entry for each build of the database.
    entries = {one.address: one for one in sorted(found, key=attrgetter("resolved_at"))}
    rows = GeoCache.objects.using(writing_alias()).filter(pk__in=list(entries))
    known = dict(rows.values_list("address", "resolved_at"))
    for address, entry in entries.items():
        if address not in known or known[address] < entry.resolved_at:
            yield entry
