"""Parse, normalise and classify IP addresses and networks. Needs no Django."""

from geocache.addresses.parsing import (
    ALL_IPV4_MAPPED,
    SPECIAL_NETWORKS,
    WIDEST_PREFIX_LENGTHS,
    AddressLike,
    networks_around,
    normalise,
    normalised_and_key,
    parse_address,
    parse_network,
    prefix_length,
    public_text,
    sort_key,
    special_reason,
)

__all__ = [
    "ALL_IPV4_MAPPED",
    "SPECIAL_NETWORKS",
    "WIDEST_PREFIX_LENGTHS",
    "AddressLike",
    "networks_around",
    "normalise",
    "normalised_and_key",
    "parse_address",
    "parse_network",
    "prefix_length",
    "public_text",
    "sort_key",
    "special_reason",
]
