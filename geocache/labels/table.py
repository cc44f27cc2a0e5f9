"""The rows of the table that have a label."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import reduce
from ipaddress import IPv4Address, IPv6Address
from operator import or_
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Exists, F, OuterRef, Q, Value
from django.db.models.functions import Concat, StrIndex, Substr
from django.db.models.lookups import In

from geocache.addresses import ALL_IPV4_MAPPED, sort_key
from geocache.batches import batches
from geocache.labels.follow import of_this_process
from geocache.labels.lists import labelled_lists, read_lists
from geocache.labels.ranges import MAPPED, MAPPED_LENGTH, Ranges
from geocache.models import GeoCache, GeoCacheQuerySet, ListedAddress
from geocache.models.blocklists import ListedAddressQuerySet
from geocache.models.connection import writing_alias

Ends = tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]

# Entries up to which the rows are found by the index of addresses, a range of it for each.
FEW_ENTRIES: Final = 300
# Entries beyond which each row is asked whether it is listed: to collect them takes longer.
MANY_ENTRIES: Final = 20_000
# Rows beyond which a walk along all rows soon meets the first ones.
MANY_ROWS: Final = 20_000
# Ranges that one query asks for.
RANGES: Final = 100
PAGE_ROWS: Final = 5_000
JOINED: Final = {
    "postgresql": """
        SELECT host(answer.address) FROM unnest(%s::inet[], %s::inet[]) AS inside(first, last)
        JOIN {table} AS answer ON answer.address BETWEEN inside.first AND inside.last LIMIT %s
    """,
    # The order of a CROSS JOIN is kept: the ranges first.
    "sqlite": """
        SELECT answer.address FROM json_each(%s) AS inside CROSS JOIN {table} AS answer
        ON answer.sort_key BETWEEN json_extract(inside.value, '$[0]')
        AND json_extract(inside.value, '$[1]') LIMIT %s
    """,
}
KEY_BITS: Final = 128
MAPPED_BITS: Final = 4 * MAPPED_LENGTH
IS_IPV4: Final = Q(sort_key__range=(f"{MAPPED}{'0' * 8}", f"{MAPPED}{'f' * 8}"))
FIRST_MAPPED: Final = int(ALL_IPV4_MAPPED.network_address)
LAST_MAPPED: Final = int(ALL_IPV4_MAPPED.broadcast_address)
DIGITS: Final = "0123456789abcdef"
# By how many bits of a digit count: what is left of each digit.
KEPT_OF_DIGITS: Final = tuple(
    "".join(f"{digit & 16 - (16 >> bits):x}" for digit in range(16)) for bits in range(4)
)


def rows_with(rows: GeoCacheQuerySet, label: str) -> GeoCacheQuerySet:
    """Return the rows whose address is on a list with ``label``, alone or inside a network."""
    sources = [one.pk for one, name in labelled_lists(read_lists()).items() if name == label]
    if not sources:
        return rows.none()
    entries: ListedAddressQuerySet = ListedAddress.objects.listed().filter(source__in=sources)
    addresses, networks = (entries.filter(is_network=is_so) for is_so in (False, True))
    first = list(entries.in_order().values_list("sort_key", "prefix_length")[: MANY_ENTRIES + 1])
    is_long = len(first) > MANY_ENTRIES
    if len(first) <= FEW_ENTRIES:
        return rows.in_ranges(_ends(Ranges.of_entries(first)))
    if not is_long and not networks.exists():
        return rows.filter(address__in=addresses.addresses())
    if not is_long and (found := _found(rows.db, Ranges.of_entries(first))) is not None:
        return rows.filter(address__in=found)
    return rows.filter(_walked(addresses, networks, is_long=is_long))


def _found(using: str, ranges: Ranges) -> list[str] | None:
    """Return the addresses of the rows inside ranges; None if they are many."""
    connection, ends = connections[using], list(_ends(ranges))
    if connection.vendor in JOINED:
        found = _joined(connection, ends)
        return found if len(found) <= MANY_ROWS else None
    found = []
    for some in batches(ends, RANGES):
        inside = GeoCache.objects.using(using).in_ranges(some)
        found += inside.values_list("address", flat=True)[: MANY_ROWS + 1]
        if len(found) > MANY_ROWS:
            return None
    return found


def _joined(connection: BaseDatabaseWrapper, ends: list[Ends]) -> list[str]:
    """Return the same from one statement: for each range a step in the index of addresses.

    As conditions of an OR, ten thousand ranges take PostgreSQL and SQLite seconds to plan.
    """
    firsts, lasts = ([pair[side] for pair in ends] for side in (0, 1))
    if connection.vendor == "postgresql":
        values: list[Any] = [list(map(str, firsts)), list(map(str, lasts))]
    else:
        pairs = zip(map(sort_key, firsts), map(sort_key, lasts), strict=True)
        values = [json.dumps(list(pairs))]
    table = connection.ops.quote_name(GeoCache._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(JOINED[connection.vendor].format(table=table), [*values, MANY_ROWS + 1])
        return [address for (address,) in cursor.fetchall()]


def _walked(
    addresses: ListedAddressQuerySet, networks: ListedAddressQuerySet, *, is_long: bool
) -> Q:
    """Return the condition for a walk along the rows, which meets one of many before long."""
    lengths = [(4, length) for length in _lengths(networks.filter(IS_IPV4))]
    lengths += [(6, length) for length in _lengths(networks.exclude(IS_IPV4))]
    is_among = _is_listed if is_long else _is_in
    found = [is_among(addresses, KEY_BITS)]
    for version, length in lengths:
        bits = length + MAPPED_BITS if version == 4 else length
        within = is_among(networks.filter(prefix_length=length), bits)
        # A wide network of IPv6 begins as what IPv4 is mapped to.
        found.append(within if version == 4 else within & ~IS_IPV4)
    return reduce(or_, found)


def counts() -> dict[str, int]:
    """Return how many rows of the table have each label, from one walk along the addresses.

    Without labelled lists nothing is read but which lists there are. Raises what the database
    raises.
    """
    of_this_process.reload()
    index = of_this_process.index
    if not index:
        return dict.fromkeys(sorted({*of_this_process.labels.values()}), 0)
    found = Counter(dict.fromkeys(of_this_process.labels.values(), 0))
    for page in GeoCache.objects.using(writing_alias()).pages("sort_key", size=PAGE_ROWS):
        for (key,) in page:
            is_mapped = key.startswith(MAPPED)
            number = int(key[MAPPED_LENGTH:] if is_mapped else key, 16)
            found.update(index.of_number(4 if is_mapped else 6, number))
    return dict(sorted(found.items()))


def _ends(ranges: Ranges) -> Iterator[Ends]:
    for first, last in ranges.pairs(4):
        yield IPv4Address(first), IPv4Address(last)
    for first, last in ranges.pairs(6):
        # In the order of rows IPv4 is there where it is mapped to, and in no network of IPv6.
        if first < FIRST_MAPPED <= last:
            yield IPv6Address(first), IPv6Address(FIRST_MAPPED - 1)
            yield IPv6Address(LAST_MAPPED + 1), IPv6Address(last)
        else:
            yield IPv6Address(first), IPv6Address(last)


def _lengths(networks: ListedAddressQuerySet) -> list[int]:
    return sorted(networks.values_list("prefix_length", flat=True).distinct())


def _is_in(entries: ListedAddressQuerySet, bits: int) -> Q:
    """Return the condition that a row begins as one of a few entries, which are collected once."""
    return Q(In(_beginning(F("sort_key"), bits), entries.values("sort_key")))


def _is_listed(entries: ListedAddressQuerySet, bits: int) -> Q:
    """Return the condition that a row begins as an entry, by one step in an index for each row."""
    return Q(Exists(entries.filter(sort_key=_beginning(OuterRef("sort_key"), bits))))


def _beginning(key: Any, bits: int) -> Any:
    """Return the first ``bits`` of a ``sort_key`` as an expression, with zeros behind them."""
    if bits == KEY_BITS:
        return key
    whole, rest = divmod(bits, 4)
    parts: list[Any] = [Substr(key, 1, whole)] if whole else []
    if rest:
        place = StrIndex(Value(DIGITS), Substr(key, whole + 1, 1))
        parts.append(Substr(Value(KEPT_OF_DIGITS[rest]), place, 1))
    zeros = "0" * (KEY_BITS // 4 - whole - (rest > 0))
    parts.append(Value(zeros))
    return Concat(*parts, output_field=CharField()) if len(parts) > 1 else parts[0]
