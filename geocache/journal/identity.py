"""Which cache a journal is in, and so which head of the database is its own.

The head of a journal is kept by the alias of its cache, and hosts may disagree about aliases. So a
flush gives the cache an id, and leases the alias to it in the database. Another cache under the
same alias is flushed all the same, with a head under its id until the lease has run out: so is a
cache that was moved, while the old one still has answers. The same cache under another alias goes
on with the head that it has.

A cache without an id is new or was emptied: it takes the alias at once, as the flush then begins
with what is in it.
"""

import re
import secrets
from typing import Final

from django.core.cache import BaseCache
from django.db import router, transaction

from geocache.cache import backends
from geocache.journal import reader, segments
from geocache.journal.segments import Name
from geocache.locks.lease import DatabaseTime
from geocache.log import get_logger
from geocache.models import JournalHead, SchedulerLease
from geocache.models.connection import database_id

log = get_logger(__name__)

# Longer than between two flushes of two hosts by cron.
LEASE_SECONDS: Final = 600.0
ID: Final = re.compile(r"j[0-9a-f]{16}")


def claim() -> str:
    """Return the name of the head of the journal at hand; raise ``JournalUnavailable``."""
    name = segments.journal_name()
    lease = SchedulerLease.of(name)
    with segments.open_journal() as backend:
        journal_id = _id_of(backend)
    if not journal_id:
        # Leased before the cache is given it: a flusher that is killed in between leaves no cache
        # with an id that may not use its name.
        _take(lease, journal_id := f"j{secrets.token_hex(8)}")
        with segments.open_journal() as backend:
            if not backend.add(segments.key(Name.ID), journal_id, timeout=None):
                if faster := _id_of(backend):  # another flusher
                    _take(lease, faster)
                else:
                    # The serializer of the cache was changed, which cannot read it.
                    backend.set(segments.key(Name.ID), journal_id, timeout=None)
        return name
    earlier = _other_name(journal_id, name)
    if earlier is not None and _is_held(earlier):
        return _shared(earlier.name, _named_twice(earlier.name, name))
    own = _own_name(journal_id)
    if not lease.acquire(journal_id, LEASE_SECONDS):
        _begin_at_copy(own)
        return _shared(own, _used_twice(name))
    if earlier is not None:
        _go_on_as(name, earlier.name)
        earlier.delete()
    _go_on_as(name, own)
    return name


def problem() -> str:
    """Return how hosts disagree about the alias of the journal at hand, or the empty text.

    Only reads. Raises ``JournalUnavailable``.
    """
    name = segments.journal_name()
    with segments.open_journal() as backend:
        journal_id = _id_of(backend)
    if not journal_id:
        return ""
    earlier = _other_name(journal_id, name)
    if earlier is not None and _is_held(earlier):
        return _named_twice(earlier.name, name)
    lease = SchedulerLease.written().filter(name=name).exclude(holder__in=["", journal_id]).first()
    return _used_twice(name) if lease is not None and _is_held(lease) else ""


def unnamed_aliases() -> list[str]:
    """Return the aliases of journals of this database that this process does not flush."""
    ending = f":{database_id()}"
    flushed = {f"{alias}{ending}" for alias in backends.journal_aliases()}
    heads = JournalHead.objects.filter(alias__endswith=ending)
    return sorted(_alias(one) for one in set(heads.values_list("alias", flat=True)) - flushed)


def _id_of(backend: BaseCache) -> str:
    found = str(segments.read(backend, [segments.key(Name.ID)]).get(segments.key(Name.ID)))
    return found if ID.fullmatch(found) else ""


def _own_name(journal_id: str) -> str:
    """Return the name of a head that no alias has: it does not end with the id of the database."""
    return f"{database_id()}:{journal_id}"


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


def _begin_at_copy(own: str) -> None:
    """Make a head for a cache that has lost its alias: the cache's copy tells how far it was."""
    copy = reader.published()
    JournalHead.written().get_or_create(
        alias=own,
        defaults={
            "flushed_through": copy.flushed_through,
            "deleted_through": copy.flushed_through,
            "written_count": copy.written_count,
        },
    )


def _go_on_as(name: str, earlier: str) -> None:
    """Rename a head, if there is one: else all of its journal would be flushed again."""
    heads = JournalHead.written()
    if heads.filter(alias=earlier).exists():
        with transaction.atomic(using=router.db_for_write(JournalHead)):
            # Of another cache, which goes on from its own copy.
            heads.filter(alias=name).delete()
            heads.filter(alias=earlier).update(alias=name)


def _shared(head: str, reason: str) -> str:
    log.warning("geo_journal_alias_shared", error=reason)
    return head


def _named_twice(other: str, name: str) -> str:
    return (
        f"this cache is flushed as {_alias(other)!r} by another host, and is {_alias(name)!r} "
        "here: give it one alias in CACHES on all hosts"
    )


def _used_twice(name: str) -> str:
    return (
        f"another cache was flushed as {_alias(name)!r} within {LEASE_SECONDS / 60:.0f} minutes. "
        "Both are flushed. Where the cache was not moved, give each one an alias of its own in "
        "CACHES, the same on all hosts; a copy of production on another machine needs a database "
        "of its own"
    )


def _alias(name: str) -> str:
    return name.rpartition(":")[0]
