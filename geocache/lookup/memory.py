"""The answers in this process's memory: the fastest tier of a look-up."""

import time
from collections.abc import Iterable
from typing import Final

from django.core.signals import setting_changed

from geocache import conf
from geocache.addresses import AddressLike
from geocache.location import Location

Asked = AddressLike


class Memory:
    """The answers of this process: bounded, each with a time to live.

    Two generations instead of a queue: when the young one is full it becomes the old one. What is
    asked for again becomes young again. A known address costs one search in a dict, and no lock:
    each step is one operation on a dict.
    """

    def __init__(self) -> None:
        self.young: dict[Asked, tuple[Location, float]] = {}
        self.old: dict[Asked, tuple[Location, float]] = {}
        self.build = ""

    def get(self, asked: Asked) -> Location | None:
        """Return the answer for an address as it was asked for, unless it is too old."""
        held = self.young.get(asked)
        if held is None:
            return self.get_old(asked)
        return held[0] if held[1] > time.monotonic() else None

    def get_many(self, askeds: Iterable[Asked]) -> dict[Asked, Location | None]:
        """Return what ``get`` does, for each."""
        young, now = self.young, time.monotonic()
        return {
            asked: held[0]
            if (held := young.get(asked)) is not None and held[1] > now
            else self.get_old(asked)
            for asked in askeds
        }

    def get_old(self, asked: Asked) -> Location | None:
        """Return what ``get`` does for an address that is not among the young ones."""
        held = self.old.get(asked)
        if held is None or held[1] <= time.monotonic():
            return None
        self._keep(asked, held)
        return held[0]

    def put(self, answers: Iterable[tuple[Asked, Location]]) -> None:
        """Keep answers under the very texts that were asked for."""
        until = time.monotonic() + conf.get("MEMORY_TTL_SECONDS")
        limit = conf.get("MEMORY_SIZE") // 2
        for asked, location in answers:
            if len(self.young) >= limit:
                self.young, self.old = {}, self.young
            self.young[asked] = (location, until)

    def put_one(self, asked: Asked, location: Location) -> None:
        """Keep one answer."""
        self._keep(asked, (location, time.monotonic() + conf.get("MEMORY_TTL_SECONDS")))

    def _keep(self, asked: Asked, held: tuple[Location, float]) -> None:
        if len(self.young) >= conf.get("MEMORY_SIZE") // 2:
            self.young, self.old = {}, self.young
        self.young[asked] = held

    def follow(self, build: str) -> None:
        """Forget everything when the answers of another build of the database begin."""
        if self.build != build:
            self.clear()
            self.build = build

    def clear(self) -> None:
        """Forget everything."""
        self.young, self.old = {}, {}


memory: Final = Memory()


def _follow(changed: frozenset[str]) -> None:
    # What is held was given the time to live of before.
    if changed & {"MEMORY_SIZE", "MEMORY_TTL_SECONDS"}:
        memory.clear()


def _forget(*, setting: str, **_: object) -> None:
    if setting in ("GEOCACHE", "CACHES"):
        memory.clear()


conf.on_change(_follow)
setting_changed.connect(_forget, dispatch_uid="geocache.memory")
