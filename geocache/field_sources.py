"""Which of several sources gave which fields of an answer, in a few characters.

One hexadecimal number for each source, in the order of ``source``, with a dot between them; a bit
of it stands for a field of ``GIVEN``.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

# What a source can give. A bit is a place in here: a later release may only append.
GIVEN: Final = (
    "country_code",
    "region",
    "city",
    "postal_code",
    "latitude",
    "longitude",
    "accuracy_radius_km",
    "time_zone",
    "continent_code",
    "is_in_european_union",
    "registered_country_code",
    "region_code",
    "asn",
    "organization",
    "traits",
    "isp",
    "domain",
    "connection_type",
    "user_type",
    "details",
    "subdivisions",
    "metro_code",
    "mobile_country_code",
    "mobile_network_code",
)
BITS: Final = {name: 1 << place for place, name in enumerate(GIVEN)}
# Between the databases and services that the ``source`` of one answer names.
SEPARATOR: Final = ", "
# As wide as the table's column.
MAX_LENGTH: Final = 100
PACKED: Final = re.compile(r"[0-9a-f]{1,8}(?:\.[0-9a-f]{1,8})+")


def pack(shares: Sequence[Collection[str]]) -> str:
    """Return the text for the fields that each source gave; empty for less than two sources.

    Several may have given one field: traits and details are put together from all.
    """
    if len(shares) < 2:
        return ""
    packed = ".".join(f"{sum(map(BITS.__getitem__, share)):x}" for share in shares)
    return packed if len(packed) <= MAX_LENGTH else ""


def unpack(source: str, packed: str) -> dict[str, str]:
    """Return the sources by field; nothing where the text does not fit to ``source``."""
    found: dict[str, str] = {}
    for name, share in zip(source.split(SEPARATOR), shares_of(source, packed), strict=False):
        for field in share:
            found[field] = f"{found[field]}{SEPARATOR}{name}" if field in found else name
    return found


def shares_of(source: str, packed: str) -> list[list[str]]:
    """Return the fields that each source gave, as they were packed; nothing if not known."""
    if not PACKED.fullmatch(packed):
        return []
    masks = [int(text, 16) for text in packed.split(".")]
    if len(masks) != len(source.split(SEPARATOR)):
        return []
    return [[name for name, bit in BITS.items() if mask & bit] for mask in masks]


def packed_again(source: str, by_field: Mapping[str, str]) -> str:
    """Return the text that ``unpack`` has read; raise what a wrong one raises."""
    shares = [
        [
            field
            for field, names in by_field.items()
            if field in BITS and name in names.split(SEPARATOR)
        ]
        for name in source.split(SEPARATOR)
    ]
    return pack(shares)
