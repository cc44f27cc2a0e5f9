"""What is known of an address without asking anybody: its row, or a network around it.

For metered providers. An answer holds for the network that came with it, found or not. Of several
networks the narrowest answers, and of several answers for one network the newest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from msgspec.structs import replace

from geocache import conf
from geocache.addresses import networks_around, prefix_length
from geocache.location import Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.lookup import hot_entries
from geocache.models import GeoCache, GeoCacheQuerySet
from geocache.models.connection import (
    DATABASE_ERRORS,
    drop_broken_connection,
    savepoint_for_reading,
)

log = get_logger(__name__)
rows_down: Final = LogThrottle(seconds=60)

# Addresses whose networks are asked for in one query: an IPv6 address lies in 117 of them, and
# SQLite takes 32,766 parameters.
COVERED_ADDRESSES: Final = 250

Public = Mapping[str, IPv4Address | IPv6Address]


@dataclass(slots=True)
class Known:
    """Answers by address: of their own rows, and of networks around them."""

    by_address: dict[str, Location] = field(default_factory=dict)
    by_network: dict[str, Location] = field(default_factory=dict)


def without(public: Public, answered: Mapping[str, Location]) -> Public:
    """Return the addresses that are not answered."""
    return {text: address for text, address in public.items() if text not in answered}


def find_known(build: str, missing: Public) -> Known:
    """Return what the table knows, and what hot entries of networks know that are not in it yet."""
    known = _from_rows(missing)
    hot = hot_entries.get_near(build, without(missing, known.by_address))
    for text, location in hot.items():
        row = known.by_network.get(text)
        known.by_network[text] = max(location, row, key=_precision) if row else location
    return known


def old_rows(missing: Public) -> dict[str, Location]:
    """Return rows of any age, which say that they are old, for when the provider fails."""
    try:
        with savepoint_for_reading():
            rows = GeoCache.objects.in_bulk(missing)
    except DATABASE_ERRORS:
        drop_broken_connection()
        return {}
    return {text: replace(row.to_location(), is_stale=True) for text, row in rows.items()}


def _from_rows(missing: Public) -> Known:
    now = datetime.now(UTC)
    rows = GeoCache.objects.fresh(
        found_since=now - timedelta(seconds=conf.get("ROW_TTL_SECONDS")),
        not_found_since=now - timedelta(seconds=conf.get("NOT_FOUND_TTL_SECONDS")),
    )
    known = Known()
    try:
        with savepoint_for_reading():
            known.by_address = {
                text: row.to_location() for text, row in rows.in_bulk(missing).items()
            }
            others = list(without(missing, known.by_address).items())
            for start in range(0, len(others), COVERED_ADDRESSES):
                some = dict(others[start : start + COVERED_ADDRESSES])
                known.by_network |= _from_networks(rows, some)
    except DATABASE_ERRORS as error:
        drop_broken_connection()
        if rows_down.is_due():
            log.error("geo_rows_unavailable", error=str(error))
    return known


def _from_networks(rows: GeoCacheQuerySet, missing: Public) -> dict[str, Location]:
    # In this order the newest row of a network is the one that is kept.
    covering = rows.covering(missing.values()).order_by("resolved_at")
    networks = {row.network: row for row in covering}
    known: dict[str, Location] = {}
    for text, address in missing.items():
        around = (networks[network] for network in networks_around(address) if network in networks)
        if row := next(around, None):
            known[text] = row.to_location(text)
    return known


def _precision(location: Location) -> tuple[int, datetime]:
    return prefix_length(location.network), location.resolved_at
