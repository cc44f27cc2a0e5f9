"""Since when which databases say what kind of network an address is in.

A database of anonymous networks has no record of all others, and their answers do not name it. That
an answer does so now is a change only if the one before could have named it: if it was in use.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import models

from geocache.instants import InstantField
from geocache.location import Location
from geocache.models.changes import source_names
from geocache.models.written import WrittenModel


class TraitSource(WrittenModel):
    """A database or service, and when it was first named by an answer that has traits."""

    # Without the day of the build.
    name = models.CharField(max_length=200, primary_key=True)
    first_named_at = InstantField()

    def __str__(self) -> str:
        return self.name

    @classmethod
    def note(cls, locations: Iterable[Location]) -> None:
        """Keep the names of new sources of answers that have traits; costs nothing for others.

        First of all in the transaction that writes the answers: of two flushers, one waits here,
        and holds no row then.
        """
        first: dict[str, datetime] = {}
        for one in locations:
            if one.traits:
                for name in source_names(one.source):
                    first[name] = min(first.get(name, one.resolved_at), one.resolved_at)
        if not first:
            return
        rows = cls.written()
        new = first.keys() - set(rows.filter(name__in=first).values_list("name", flat=True))
        rows.bulk_create(
            [cls(name=name, first_named_at=first[name]) for name in sorted(new)],
            ignore_conflicts=True,
        )

    @classmethod
    def first_named(cls, name: str) -> datetime | None:
        """Return when an answer with traits first named a source, None if none has."""
        return cls.written().filter(name=name).values_list("first_named_at", flat=True).first()
