"""Forget addresses: afterwards neither row nor hot entry nor journal knows an answer, old or new.

1. Flush: an answer that is dirty becomes a row, and goes with it.
2. Delete the rows, their past and what was refused of them, leave a tombstone for each, and before
   the commit delete the hot entries: if the cache is away, all of them stay.
3. Delete the hot entries again: until the commit a look-up could make one of the row.

An answer that is under way is older than the tombstone: in a flusher that is at work, stopped or
killed, in a process that could not record it, in what a writer journals again. It is left out when
it comes to the table, by a transaction that waits for this one or that this one waits for. No lock
has to last for that.

What remains is the memory of other processes, for up to ``MEMORY_TTL_SECONDS``. A look-up at this
very moment gives a new answer.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from geocache.addresses import AddressLike, normalise
from geocache.exceptions import FlushError, JournalUnavailable
from geocache.journal.flush import flush_dirty
from geocache.lookup import hot_entries
from geocache.lookup.memory import memory
from geocache.models import (
    AnswerHistory,
    GeoCache,
    GeoCacheQuerySet,
    JournalHead,
    RejectedEntry,
    Tombstone,
)
from geocache.models.connection import DATABASE_ERRORS, atomic, writing_alias
from geocache.providers import factory


def forget(
    addresses: Iterable[AddressLike],
    time_limit_seconds: float | None = None,
    *,
    unseen_since: date | None = None,
) -> int:
    """Forget the answers for ``addresses``, however they are written; return the number of rows.

    With ``unseen_since`` only those that nobody has asked for on that day of UTC or later. Flushes
    first, within ``time_limit_seconds`` as ``flush_dirty`` does. Raises ``InvalidAddress``,
    ``FlushError`` and ``ProviderError``, and has then deleted nothing unless the message says so.
    Not to be called inside a transaction.
    """
    texts = [normalise(address) for address in addresses]
    # It is part of the keys of hot entries; without it they could not be deleted.
    build = factory.current().build()
    if flush_dirty(time_limit_seconds).timed_out:
        raise FlushError("the time limit was over before all dirty answers were flushed")
    try:
        rows = GeoCache.objects.using(writing_alias()).filter(pk__in=texts)
        if unseen_since is None:
            return delete_rows(build, rows, texts)
        return delete_rows(build, rows.unseen_since(unseen_since))
    except JournalUnavailable as error:
        raise FlushError(str(error)) from error
    except DATABASE_ERRORS as error:
        raise FlushError(f"the database cannot be written: {error}") from error


def delete_rows(
    build: str,
    rows: GeoCacheQuerySet,
    addresses: Sequence[str] = (),
    *,
    is_past_kept: bool = False,
) -> int:
    """Delete rows, with the past and hot entries of theirs and of ``addresses``; count the rows.

    Only ``addresses`` stay forgotten: an answer for a row that was pruned may come back.
    """
    with atomic(is_durable=True):
        JournalHead.lock()
        networks = dict(rows.values_list("address", "network"))
        gone = {*addresses, *networks}
        # A metered provider's answer for a network would answer for the address again.
        names = gone | set(filter(None, networks.values()))
        row_count, _ = rows.delete()
        if not is_past_kept:
            AnswerHistory.objects.filter(address__in=gone).delete()
            RejectedEntry.objects.filter(address__in=gone).delete()
        Tombstone.bury(addresses)
        _delete_hot(build, names)
    _delete_hot(build, names)
    # Kept under the texts that were asked for, of which an address has many.
    memory.clear()
    return row_count


def _delete_hot(build: str, names: Iterable[str]) -> None:
    if not hot_entries.delete_many(build, names):
        raise FlushError("the cache cannot be reached; hot entries may be left")
