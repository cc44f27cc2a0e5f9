"""Keeps the demo out of a table that has rows of its own."""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Final

from geocache.models import GeoCache
from geocache.models.connection import writing_alias, writing_connection

# Addresses in one query.
CHUNK_ADDRESSES: Final = 500


def would_mix(addresses: Collection[str], sample: Iterable[str]) -> bool:
    """Tell whether rows for ``addresses`` would come to stand beside rows of another origin.

    Not where all of them are in the table: who has used the site of a demo may run it again.
    """
    rows = GeoCache.objects.using(writing_alias())
    if GeoCache._meta.db_table not in writing_connection().introspection.table_names():
        return False
    known = {*addresses, *sample}
    # One row more than the demo makes is another's, however many there are.
    held = set(rows.values_list("address", flat=True)[: len(known) + 1])
    return not held <= known and _count_held(addresses) < len(set(addresses))


def _count_held(addresses: Collection[str]) -> int:
    rows = GeoCache.objects.using(writing_alias())
    return sum(rows.filter(address__in=some).count() for some in _chunks(set(addresses)))


def _chunks(addresses: Iterable[str]) -> Iterator[list[str]]:
    left = iter(addresses)
    while some := list(islice(left, CHUNK_ADDRESSES)):
        yield some
