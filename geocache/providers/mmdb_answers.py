"""Answers out of open database files, one address after the other."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_network
from socket import AF_INET, inet_ntop, inet_pton
from typing import Any

from geocache.field_sources import pack
from geocache.location import NOT_FOUND, Location
from geocache.providers.base import joined_sources
from geocache.providers.merging import added
from geocache.providers.mmdb_files import Database
from geocache.providers.mmdb_records import record_fields

IPV4_BITS = 32
# What no IPv4 address is in.
NO_NETWORK = (0, -1)


class Answers:
    """Merges what the files say; the first that knows a field gives it. For one thread.

    The last answer also holds for the next address if it is in the same network, as neighbours in
    a sorted batch often are: to read a record takes longer than all the rest.
    """

    def __init__(self, databases: Sequence[Database], at: datetime) -> None:
        self._databases = databases
        self._at = at
        self._mask, self._first = NO_NETWORK
        # Of the last answer, but the address.
        self._fields: dict[str, Any] = {}

    def of(self, address: str) -> Location:
        """Return the answer for one normalised address; raise ``ProviderError``."""
        number = -1 if ":" in address else int.from_bytes(inet_pton(AF_INET, address))
        if number & self._mask != self._first:
            self._search(address, number)
        return Location(address=address, **self._fields)

    def _search(self, address: str, number: int) -> None:
        found: dict[str, Any] = {}
        sources: list[str] = []
        shares: list[tuple[str, ...]] = []
        prefix_length = 0
        asked = [database for database in self._databases if database.may_know(address)]
        for database in asked:
            record, length = database.search(address)
            # The merged answer holds only where each file's answer holds: the narrowest network.
            prefix_length = max(prefix_length, length)
            fields = record_fields(record)
            more = added(found, fields) if found else fields
            if more:
                found |= more
                sources.append(database.label)
                shares.append(tuple(more))
        if not found:
            found["reason"] = NOT_FOUND
            sources = [database.label for database in asked or self._databases]
        elif len(shares) > 1:
            found["given_by"] = _packed(tuple(shares))
        found["resolved_at"] = self._at
        found["source"] = joined_sources(sources)
        self._mask, self._first = NO_NETWORK
        if prefix_length and number < 0:
            found["network"] = str(ip_network((address, prefix_length), strict=False))
        elif prefix_length:
            self._mask = -1 << IPV4_BITS - prefix_length
            self._first = number & self._mask
            # A tenth of the time of ``ip_network``.
            found["network"] = f"{inet_ntop(AF_INET, self._first.to_bytes(4))}/{prefix_length}"
        self._fields = found


# Files have few kinds of records, whatever their number.
@lru_cache(maxsize=1024)
def _packed(shares: tuple[tuple[str, ...], ...]) -> str:
    return pack(shares)
