"""Hot entries: answers that are known, in the Django cache.

A key in the cache is ``e:<id of the database><build>:<address>``: with a new build every older
answer is stale at once, in every process, and sites that share a cache have hot entries each. What
a metered provider answers is kept under ``n:<id of the database><build>:<network>``, too.
A cache that is down is a miss, said once a minute, never an error.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address
from math import log2
from typing import Final

from msgspec.structs import replace

from geocache import conf
from geocache.addresses import networks_around
from geocache.cache import backends, guard
from geocache.cache.backends import ENTRY_KEYS, Entry
from geocache.cache.guard import guarded, guarded_selected
from geocache.exceptions import CacheUnavailable, UndecodableRecord
from geocache.location import Location, dump_locations, load_locations
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.models.connection import database_id

log = get_logger(__name__)

# Addresses whose networks are asked for in one trip: an IPv6 address lies in 117 of them.
NEAR_ADDRESSES: Final = 250
# Keys of networks that an answer of a metered provider holds for begin so.
NETWORK_KEYS: Final = "n:"

cache_down = LogThrottle(seconds=60)
# After an upgrade every entry may be of another release.
undecodable = LogThrottle(seconds=60)


def key(build: str, address: str, kind: str = ENTRY_KEYS) -> str:
    """Return the cache key of ``address`` (or network) for one build of the database."""
    return f"{kind}{database_id()}{_digest(build)}:{address}"


def full_key(build: str, address: str) -> str:
    """Return the key of a hot entry as the cache's own tools know it, with prefix and version."""
    return backends.current().make_key(key(build, address))


def get(build: str, address: str) -> Location | None:
    """Return the hot entry of one address; what ``get_many`` does, by the shortest way."""
    name = key(build, address)
    try:
        text = guard.get(name)
    except CacheUnavailable as error:
        report_down(error)
        return None
    return None if text is None else _loaded(name, text)


def get_many(build: str, addresses: Iterable[str]) -> dict[str, Location]:
    """Return the hot entries there are, by address, in one round trip."""
    beginning = key(build, "")
    return _read({beginning + address: address for address in addresses})


def get_near(build: str, addresses: Mapping[str, IPv4Address | IPv6Address]) -> dict[str, Location]:
    """Return hot entries of addresses, else of the narrowest network around each.

    In one round trip for ``NEAR_ADDRESSES``.
    """
    listed = list(addresses.items())
    near: dict[str, Location] = {}
    for start in range(0, len(listed), NEAR_ADDRESSES):
        names = {
            text: [text, *_near(address)]
            for text, address in listed[start : start + NEAR_ADDRESSES]
        }
        known = _read({_name_key(build, name): name for some in names.values() for name in some})
        for text, some in names.items():
            if name := next((name for name in some if name in known), None):
                near[text] = replace(known[name], address=text)
    return near


def peek(
    build: str, addresses: Mapping[str, IPv4Address | IPv6Address], *, with_networks: bool
) -> dict[str, Location]:
    """Return what is kept of addresses, or of networks around them, and log nothing of it.

    Raises ``CacheUnavailable``.
    """
    wanted = {
        text: [text, *(_near(address) if with_networks else ())]
        for text, address in addresses.items()
    }
    with guarded() as backend:
        found = backend.get_many(_name_key(build, one) for some in wanted.values() for one in some)
    known: dict[str, Location] = {}
    for text, some in wanted.items():
        if held := next((kept for one in some if (kept := found.get(_name_key(build, one)))), None):
            with suppress(UndecodableRecord, IndexError):
                known[text] = replace(load_locations(held)[0], address=text)
    return known


def set_many(build: str, locations: Iterable[Location], *, with_networks: bool = False) -> None:
    """Keep answers as hot entries: those found, and for a shorter time those not found."""
    found: dict[str, str] = {}
    not_found: dict[str, str] = {}
    beginning = key(build, "")
    for location in locations:
        entries = found if location else not_found
        entries[beginning + location.address] = dump_locations([location])
        if with_networks and location.network:
            # Without the address that was asked about: it may be forgotten before its network is.
            first = replace(location, address=location.network.partition("/")[0])
            entries[_name_key(build, location.network)] = dump_locations([first])
    _store({conf.get("TTL_SECONDS"): found})
    _store({conf.get("NOT_FOUND_TTL_SECONDS"): not_found})


def set_rows(build: str, rows: Iterable[Location]) -> None:
    """Keep answers of the table as hot entries, for no longer than their rows are good."""
    now = datetime.now(UTC)
    entries: dict[float, dict[str, str]] = defaultdict(dict)
    for row in rows:
        seconds = min(_ttl_seconds(row), _seconds_left(row, now))
        if seconds >= 1:
            # Entries of similar age share a time to live, and so a trip: the power of two below.
            shared = seconds if seconds == _ttl_seconds(row) else 2 ** int(log2(seconds))
            entries[shared][key(build, row.address)] = dump_locations([row])
    _store(entries)


def entry(build: str, location: Location) -> Entry:
    """Return an answer as the hot entry that ``set_many`` would keep."""
    return Entry(key(build, location.address), dump_locations([location]), _ttl_seconds(location))


def delete_many(build: str, names: Iterable[str]) -> bool:
    """Delete hot entries of addresses and networks, from the cache of each journal.

    False when one of the caches is away: they may stay there.
    """
    keys = [_name_key(build, name) for name in names]
    are_deleted = True
    for alias in backends.journal_aliases():
        try:
            with backends.using(alias), guarded_selected() as backend:
                backend.delete_many(keys)
        except CacheUnavailable as error:
            report_down(error)
            are_deleted = False
    return are_deleted


def report_down(error: Exception) -> None:
    """Say, once a minute, that the cache cannot be used."""
    if cache_down.is_due():
        log.error("geo_cache_unavailable", error=str(error))


def _ttl_seconds(location: Location) -> float:
    seconds: float = conf.get("TTL_SECONDS" if location else "NOT_FOUND_TTL_SECONDS")
    return seconds


def _seconds_left(row: Location, now: datetime) -> float:
    """Return how long the row of an answer is still good."""
    good_seconds: float = conf.get("ROW_TTL_SECONDS" if row else "NOT_FOUND_TTL_SECONDS")
    return good_seconds - (now - row.resolved_at).total_seconds()


def _store(entries: Mapping[float, dict[str, str]]) -> None:
    """Set entries by their time to live, in one trip for each."""
    try:
        for seconds, some in entries.items():
            if some:
                with guarded() as backend:
                    backends.set_many(backend, some, seconds)
    except CacheUnavailable as error:
        report_down(error)


@lru_cache(maxsize=16)
def _digest(build: str) -> str:
    return blake2b(build.encode(), digest_size=4).hexdigest()


def _name_key(build: str, name: str) -> str:
    return key(build, name, NETWORK_KEYS if "/" in name else ENTRY_KEYS)


def _near(address: IPv4Address | IPv6Address) -> list[str]:
    """Return the networks around an address that hot entries are looked for under."""
    networks = networks_around(address)
    # Nobody is given less than a /64, and each length more is a key more for each address.
    return networks if address.version == 4 else networks[address.max_prefixlen - 64 :]


def _read(names: Mapping[str, str]) -> dict[str, Location]:
    """Return the entries there are under the keys of ``names``, by name."""
    try:
        with guarded() as backend:
            texts = backends.get_many(backend, names)
    except CacheUnavailable as error:
        report_down(error)
        return {}
    return {
        names[name]: location
        for name, text in texts.items()
        if (location := _loaded(name, text)) is not None
    }


def _loaded(name: str, text: object) -> Location | None:
    try:
        return load_locations(text)[0]
    except (UndecodableRecord, IndexError):
        if undecodable.is_due():
            log.warning("geo_cache_entry_undecodable", key=name)
        return None
