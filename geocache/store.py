"""Hot entries: answers that are known, in this process's memory and in the Django cache.

A key in the cache is ``e:<build>:<address>``: with a new database every older answer is stale at
once, in every process. A cache that is down is a miss, said once a minute, never an error.
"""

import time
from collections.abc import Iterable
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import structlog
from django.core.signals import setting_changed

from geocache import caches, conf
from geocache.exceptions import UndecodableRecord
from geocache.locations import Location, dump_locations, load_locations
from geocache.throttle import Throttle

log = structlog.get_logger(__name__)

Asked = str | IPv4Address | IPv6Address

_cache_down = Throttle(seconds=60)


class Memory:
    """The answers of this process: bounded, each with a time to live.

    Two generations instead of a queue: when the young one is full it becomes the old one. A known
    address costs one search in a dict, and no lock: each step is one operation on a dict.
    """

    def __init__(self) -> None:
        self.young: dict[Asked, tuple[Location, float]] = {}
        self.old: dict[Asked, tuple[Location, float]] = {}
        self.build = ""

    def get(self, asked: Asked) -> Location | None:
        """Return the answer for an address as it was asked for, unless it is too old."""
        held = self.young.get(asked) or self.old.get(asked)
        if held is not None and held[1] > time.monotonic():
            return held[0]
        return None

    def put(self, answers: Iterable[tuple[Asked, Location]]) -> None:
        """Keep answers under the very texts that were asked for."""
        until = time.monotonic() + conf.get("MEMORY_TTL_SECONDS")
        limit = conf.get("MEMORY_SIZE") // 2
        for asked, location in answers:
            if len(self.young) >= limit:
                self.young, self.old = {}, self.young
            self.young[asked] = (location, until)

    def follow(self, build: str) -> None:
        """Forget everything when the answers of another build of the database begin."""
        if self.build != build:
            self.clear()
            self.build = build

    def clear(self) -> None:
        """Forget everything."""
        self.young, self.old = {}, {}


memory: Final = Memory()


def key(build: str, address: str) -> str:
    """Return the cache key of the hot entry of ``address`` for one build of the database."""
    digest = blake2b(build.encode(), digest_size=6).hexdigest()
    return f"e:{digest}:{address}"


def get_many(build: str, addresses: Iterable[str]) -> dict[str, Location]:
    """Return the hot entries there are, by address, in one round trip."""
    keys = {key(build, address): address for address in addresses}
    try:
        with caches.breaker.watch():
            texts = caches.current().get_many(keys)
    except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
        _report_down(error)
        return {}
    found = {}
    for name, text in texts.items():
        try:
            found[keys[name]] = load_locations(text)[0]
        except (UndecodableRecord, IndexError):
            log.warning("geo_cache_entry_undecodable", key=name)
    return found


def set_many(build: str, locations: Iterable[Location]) -> None:
    """Keep answers as hot entries: those found, and for a shorter time those not found."""
    found: dict[str, str] = {}
    not_found: dict[str, str] = {}
    for location in locations:
        entries = found if location else not_found
        entries[key(build, location.address)] = dump_locations([location])
    try:
        for entries, ttl in ((found, "TTL_SECONDS"), (not_found, "NOT_FOUND_TTL_SECONDS")):
            if entries:
                with caches.breaker.watch():
                    caches.current().set_many(entries, timeout=conf.get(ttl))
    except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
        _report_down(error)


def delete_many(build: str, addresses: Iterable[str]) -> bool:
    """Delete hot entries; False when the cache is away and they may still be there."""
    try:
        caches.current().delete_many([key(build, address) for address in addresses])
    except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
        _report_down(error)
        return False
    return True


def _report_down(error: Exception) -> None:
    if _cache_down.is_due():
        log.error("geo_cache_unavailable", error=str(error))


def _forget(*, setting: str, **_: object) -> None:
    if setting in ("GEOCACHE", "CACHES"):
        memory.clear()


setting_changed.connect(_forget, dispatch_uid="geocache.store")
