"""Which cache a journal is in: no two caches are flushed under one name, and none under two.

The head of a journal is kept by the alias of its cache, and hosts may disagree about aliases. So a
flush gives the cache an id of its own, and leases the name of the journal to that id in the
database. Another cache under the same name, or the same cache under another name, is refused until
the lease has run out: then a name was changed on purpose, or a cache is back from a backup.

A cache without an id is new or was emptied: it takes the name at once, as the flush then begins
with what is in it. Where another one is still flushed under that name, that one is refused.
"""

import secrets
from typing import Final

from django.core.cache import BaseCache

from geocache.cache import backends
from geocache.exceptions import JournalUnavailable
from geocache.journal import segments
from geocache.journal.segments import Name
from geocache.locks.lease import DatabaseTime
from geocache.models import JournalHead, SchedulerLease
from geocache.models.connection import database_id

# Longer than between two flushes of two hosts by cron, and no longer than answers may well wait.
LEASE_SECONDS: Final = 600.0


def claim() -> None:
    """Lease the name of the journal that is at hand to its cache; raise ``JournalUnavailable``."""
    name = segments.journal_name()
    lease = SchedulerLease.of(name)
    with segments.open_journal() as backend:
        journal_id = _id_of(backend)
    if journal_id:
        earlier = _other_name(journal_id, name)
        if earlier is not None and _is_held(earlier):
            raise JournalUnavailable(_named_twice(earlier.name, name))
        if not lease.acquire(journal_id, LEASE_SECONDS):
            raise JournalUnavailable(_used_twice(name))
        if earlier is not None:
            _rename(earlier, name)
        return
    # Leased before the cache is given it: a flusher that is killed in between leaves no cache with
    # an id that may not use its name.
    _take(lease, new_id := f"j{secrets.token_hex(8)}")
    with segments.open_journal() as backend:
        if not backend.add(segments.key(Name.ID), new_id, timeout=None):
            # Another flusher was faster.
            _take(lease, _id_of(backend))


def problem() -> str:
    """Return which other name the journal that is at hand is flushed under, or the empty text.

    Only reads. Raises ``JournalUnavailable``.
    """
    name = segments.journal_name()
    with segments.open_journal() as backend:
        journal_id = _id_of(backend)
    earlier = _other_name(journal_id, name) if journal_id else None
    return _named_twice(earlier.name, name) if earlier and _is_held(earlier) else ""


def unnamed_aliases() -> list[str]:
    """Return the aliases of journals of this database that this process does not flush."""
    ending = f":{database_id()}"
    flushed = {f"{alias}{ending}" for alias in backends.journal_aliases()}
    heads = JournalHead.objects.filter(alias__endswith=ending)
    return sorted(_alias(one) for one in set(heads.values_list("alias", flat=True)) - flushed)


def _id_of(backend: BaseCache) -> str:
    found = segments.read(backend, [segments.key(Name.ID)])
    return str(found.get(segments.key(Name.ID), ""))


def _other_name(journal_id: str, name: str) -> SchedulerLease | None:
    leases = SchedulerLease.written().filter(holder=journal_id).exclude(name=name)
    return leases.order_by("-expires_at").first()


def _is_held(lease: SchedulerLease) -> bool:
    """Tell whether a lease has not run out by the clock of the database, as ``acquire`` does."""
    held = SchedulerLease.written().filter(pk=lease.pk, expires_at__gt=DatabaseTime())
    return held.exists()


def _take(lease: SchedulerLease, journal_id: str) -> None:
    SchedulerLease.written().filter(pk=lease.pk).update(holder=journal_id)
    lease.renew(journal_id, LEASE_SECONDS)


def _rename(earlier: SchedulerLease, name: str) -> None:
    """Go on under a new name where the old one has ended: else all would be flushed again."""
    if not JournalHead.written().filter(alias=name).exists():
        JournalHead.written().filter(alias=earlier.name).update(alias=name)
    earlier.delete()


def _named_twice(other: str, name: str) -> str:
    return (
        f"this cache is flushed as {_alias(other)!r} by another host, and is {_alias(name)!r} "
        "here: give it one alias in CACHES on all hosts"
    )


def _used_twice(name: str) -> str:
    return (
        f"another cache is flushed as {_alias(name)!r} too: give each cache an alias of its own in "
        "CACHES, the same on all hosts. A cache that is back from a backup is flushed again "
        f"{LEASE_SECONDS / 60:.0f} minutes after the last flush of the other"
    )


def _alias(name: str) -> str:
    return name.rpartition(":")[0]
