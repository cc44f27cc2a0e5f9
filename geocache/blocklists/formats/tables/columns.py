"""Which columns of a table hold addresses, scores and comments; ties are a question."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise
from typing import Final

from geocache.blocklists.formats import column_names
from geocache.blocklists.formats.base import Options
from geocache.blocklists.formats.tables.head import Table
from geocache.blocklists.formats.words import (
    HOSTMASKS,
    NETMASKS,
    Lengths,
    is_mask,
    score,
    whole_network,
)
from geocache.exceptions import ImportFailed

# A column of which so many cells are addresses may be the one; the others may be names of hosts.
PLAUSIBLE: Final = 0.2
# Names that a table of connections has as well.
DOUBTFUL_RANGES: Final = frozenset({"from", "first", "fromip", "ipfrom", "fromaddress", "fromaddr"})
# Both ends of a range have the same first 8 bits, or 16 of IPv6: those of a connection rarely do.
OTHER_BITS: Final = {4: 24, 6: 112}


@dataclass(frozen=True, slots=True)
class Columns:
    """What is read of each row, by the number of the column (from 0)."""

    first: int
    # Of a range.
    last: int | None = None
    # A netmask, or the length of a prefix.
    mask: int | None = None
    score: int | None = None
    comment: int | None = None


def choose(table: Table, options: Options) -> Columns:
    """Return the columns to read; raise ``ImportFailed`` with a question."""
    first, last, mask = _named(table, options.column) if options.column else _found(table)
    if last is None and mask is None and not options.score_column:
        _refuse_lengths(table, first)
    taken = {first, last, mask}
    points = column(table, options.score_column) if options.score_column else None
    if points is None:
        points = _score(table, taken)
    free = {name for place, name in enumerate(table.names) if place not in taken | {points}}
    note = column_names.first_of(column_names.COMMENT, free)
    return Columns(first, last, mask, points, table.names.index(note) if note else None)


def plausible(table: Table) -> list[int]:
    """Return the columns that hold addresses."""
    needed = max(1, PLAUSIBLE * len(table.rows))
    return [
        place
        for place in range(table.width)
        if not _are_netmasks(table, place) and table.address_count(place) >= needed
    ]


def range_columns(table: Table, held: Sequence[int]) -> tuple[int, int] | None:
    """Return the two columns that are the first and last address of ranges."""
    names = table.names
    for first in held:
        if (end := column_names.RANGES.get(names[first], "")) in names and end:
            last = names.index(end)
            if names[first] not in DOUBTFUL_RANGES or _are_ranges(table, first, last):
                return (first, last) if set(held) <= {first, last} else None
    if len(held) == 2 and held[1] == held[0] + 1 and _are_networks(table, *held):
        return held[0], held[1]
    return None


def column(table: Table, name: str) -> int:
    """Return the column of this name or number (from 1); raise ``ImportFailed``."""
    found = _column(table, name)
    if found is None:
        titles = ", ".join(table.titles) if table.titles else f"1 to {table.width}"
        raise ImportFailed(f"there is no column {name[:80]!r}; its columns are {titles}"[:500])
    return found


def _column(table: Table, name: str) -> int | None:
    wanted = name.strip()
    exact = [title.casefold() for title in table.titles]
    if wanted.casefold() in exact:
        return exact.index(wanted.casefold())
    if wanted.isdecimal() and 1 <= int(wanted[:9]) <= table.width:
        return int(wanted) - 1
    plain = column_names.plain_name(wanted)
    return table.names.index(plain) if plain and plain in table.names else None


def _named(table: Table, name: str) -> tuple[int, int | None, int | None]:
    """Return the columns that a user names: ``ip``, ``2``, ``start-end``, ``1-2``."""
    found = _column(table, name)
    if found is None:
        # A name may hold dashes itself.
        for place in (place for place, letter in enumerate(name) if letter == "-"):
            first, last = _column(table, name[:place]), _column(table, name[place + 1 :])
            if first is not None and last is not None:
                return first, last, None
    first = column(table, name)
    return first, None, _mask(table, first)


def _found(table: Table) -> tuple[int, int | None, int | None]:
    plain = plausible(table)
    if not plain:
        raise ImportFailed("no column of this table holds addresses")
    held = [place for place in plain if not column_names.is_exempt_list(table.names[place])]
    if not held:
        title = table.titles[plain[0]][:40]
        raise ImportFailed(f"the column {title!r} is of what is not to be listed")
    if ends := range_columns(table, held):
        return *ends, None
    if len(held) > 1:
        known = [place for place in held if table.names[place] in column_names.ADDRESS]
        if len(known) != 1:
            raise ImportFailed(_question(table, held))
        held = known
    if table.names[held[0]] in column_names.RANGES:
        end = column_names.RANGES[table.names[held[0]]]
        if end in table.names and table.names[held[0]] not in DOUBTFUL_RANGES:
            raise ImportFailed(
                f"its ranges have no end in the column {end!r}; choose with --column"
            )
    return held[0], None, _mask(table, held[0])


def _question(table: Table, held: Sequence[int]) -> str:
    shown = [
        f"{table.titles[place][:40]} ({place + 1})" if table.titles else f"column {place + 1}"
        for place in held[:10]
    ]
    count = "two" if len(held) == 2 else str(len(held))
    return (
        f"{count} columns hold addresses: {', '.join(shown[:-1])} and {shown[-1]}; "
        "choose with --column"
    )


def _mask(table: Table, first: int) -> int | None:
    """Return the column of the netmasks or lengths that belong to the addresses of ``first``."""
    for place, name in enumerate(table.names):
        if place != first and name in column_names.MASK and _are_masks(table, place):
            return place
    following = first + 1
    return following if following < table.width and _are_netmasks(table, following) else None


def _refuse_lengths(table: Table, first: int) -> None:
    """Raise ``ImportFailed`` if a column may be of the lengths of prefixes."""
    for place, name in enumerate(table.names):
        if place != first and name not in column_names.SCORE:
            lengths = Lengths()
            for row in table.rows:
                lengths.see(row[first], row[place])
                if lengths.is_settled:
                    break
            lengths.refuse()


def _score(table: Table, taken: set[int | None]) -> int | None:
    free = [place for place in range(table.width) if place not in taken]
    # As in a plain list: of two columns, the other one.
    if not table.titles and table.width == 2 and free and _are_numbers(table, free[0]):
        return free[0]
    names = {table.names[place] for place in free if _are_numbers(table, place)}
    found = column_names.first_of(column_names.SCORE, names)
    return table.names.index(found) if found else None


def _are_masks(table: Table, place: int) -> bool:
    """Tell whether a column is of masks, whatever a few of its cells are."""
    cells = [cell for cell in table.column(place) if cell]
    return bool(cells) and 2 * sum(map(is_mask, cells)) >= len(cells)


def _are_netmasks(table: Table, place: int) -> bool:
    cells = table.column(place)
    return bool(cells) and all(cell in NETMASKS or cell in HOSTMASKS for cell in cells)


def _are_ranges(table: Table, first: int, last: int) -> bool:
    """Tell whether each row has the ends of a range, and no range overlaps another."""
    try:
        pairs = {(ip_address(row[first]), ip_address(row[last])) for row in table.rows}
    except ValueError:
        return False
    ranges = sorted((one.version, int(one), int(other)) for one, other in pairs)
    are_ordered = all(
        one.version == other.version
        and int(one) <= int(other)
        and int(one) >> OTHER_BITS[one.version] == int(other) >> OTHER_BITS[one.version]
        for one, other in pairs
    )
    are_apart = all(one[0] < other[0] or one[2] < other[1] for one, other in pairwise(ranges))
    return (are_ordered and are_apart) or _are_networks(table, first, last)


def _are_networks(table: Table, first: int, last: int) -> bool:
    """Tell whether each row has the ends of one network, or twice the same address."""
    pairs = [(row[first], row[last]) for row in table.rows]
    whole = [a == b or whole_network(a, b) is not None for a, b in pairs]
    return all(whole) and any(a != b for a, b in pairs)


def _are_numbers(table: Table, place: int) -> bool:
    cells = [cell for cell in table.column(place) if cell]
    return bool(cells) and sum(score(cell) is not None for cell in cells) > len(cells) / 2
