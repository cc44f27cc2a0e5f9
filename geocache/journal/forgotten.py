"""Leave out answers that must not come back: of forgotten addresses, and of rows that are gone."""

from collections.abc import Iterator, Sequence
from typing import Final

from geocache.location import Location
from geocache.models import GeoCache, Tombstone
from geocache.models.connection import writing_alias

CHUNK_ROWS: Final = 1_000


def without_forgotten(locations: Sequence[Location]) -> list[Location]:
    """Return the answers that may be written, in a transaction that holds the lock of the head.

    Left out is what was resolved before its address was forgotten, and what renews a row that is
    gone: it was not looked up, so that no caller has had it.
    """
    forgotten = Tombstone.moments(one.address for one in locations)
    renewed = [one.address for one in locations if one.is_renewed]
    gone = set(renewed).difference(_with_row(renewed))
    return [
        one
        for one in locations
        if one.address not in gone
        and (one.address not in forgotten or one.resolved_at > forgotten[one.address])
    ]


def _with_row(addresses: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(addresses), CHUNK_ROWS):
        some = addresses[start : start + CHUNK_ROWS]
        rows = GeoCache.objects.using(writing_alias()).filter(pk__in=some)
        yield from rows.values_list("address", flat=True)
