"""Which Django cache holds hot entries and journal; the only user of ``django.core.cache``.

It is the one that ``CACHES`` names under ``GEOCACHE["CACHE_ALIAS"]``, or else an embedded one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from diskcache_community import Cache, SafeDisk, Timeout
from diskcache_community.djangocache import DjangoCache
from django.core.cache import BaseCache
from django.core.cache import caches as django_caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.memcached import BaseMemcachedCache
from django.core.cache.backends.redis import RedisCache, RedisSerializer

from geocache import conf
from geocache.breaker import Breaker

# Not shared by processes, not atomic, or free to evict: the journal does not fit in these.
UNFIT_FOR_JOURNAL: Final = (
    BaseMemcachedCache,
    DatabaseCache,
    DummyCache,
    FileBasedCache,
    LocMemCache,
)
# Keys per transaction: long enough to pay, short enough that no other writer waits for long.
TRANSACTION_KEYS: Final = 500
# How long the embedded cache may be locked by one process before others do without it.
LOCK_SECONDS: Final = 5
# Around all that a look-up asks of the cache: a server that has vanished costs one look-up of a
# process its time-out every five seconds, not several time-outs each. A flush takes its time.
breaker: Final = Breaker(slow_seconds=0.5, rest_seconds=5.0)
# How Redis writes its 64-bit counters.
REDIS_NUMBER: Final = re.compile(rb"-?[0-9]{1,19}")


def current() -> BaseCache:
    """Return the cache for hot entries and journal, as this thread has to use it."""
    alias = conf.get("CACHE_ALIAS")
    if alias in conf.caches():
        return django_caches[alias]
    return _embedded(str(conf.var_dir() / "cache"))


def can_hold_journal(backend: BaseCache) -> bool:
    """Tell whether ``add`` is atomic on ``backend``, for all processes, and nothing is evicted."""
    return not isinstance(backend, UNFIT_FOR_JOURNAL)


def eviction_policy(backend: BaseCache) -> str | None:
    """Return the eviction policy of a diskcache, or None for any other cache."""
    policy: str | None = getattr(getattr(backend, "_cache", None), "eviction_policy", None)
    return policy


def does_unpickle(backend: BaseCache) -> bool:
    """Tell whether ``backend`` is Django's Redis with a serializer that unpickles."""
    if not isinstance(backend, RedisCache):
        return False
    client: Any = backend._cache
    return isinstance(client._serializer, RedisSerializer)


def redis_policy() -> str | None:
    """Return Redis's ``maxmemory-policy``; None for other caches, or when it does not tell."""
    try:
        backend = current()
        if not isinstance(backend, RedisCache):
            return None
        client: Any = backend._cache.get_client()
        return str(client.config_get("maxmemory-policy")["maxmemory-policy"])
    except Exception:  # noqa: BLE001 - down, or managed and not willing to say
        return None


@dataclass(frozen=True, slots=True)
class Entry:
    """A hot entry on its way into the cache, with its time to live in seconds."""

    key: str
    text: str
    seconds: float | None


def add_both(backend: BaseCache, key: str, text: str, entry: Entry) -> bool:
    """Add a record that lives for ever and an entry, both or neither, in one trip to Redis.

    False: neither, as something stands under one of the keys, or because the cache is another.
    """
    if not isinstance(backend, RedisCache):
        return False
    client: Any = backend._cache
    record, kept = (backend.make_and_validate_key(one) for one in (key, entry.key))
    pipeline = client.get_client(record, write=True).pipeline()
    dumps = client._serializer.dumps
    pipeline.msetnx({record: dumps(text), kept: dumps(entry.text)})
    seconds = backend.get_backend_timeout(entry.seconds)
    if seconds is not None:
        pipeline.expire(kept, seconds)
    return bool(pipeline.execute()[0])


class TextSerializer:
    """Store text and whole numbers as they are, for the ``serializer`` option of Django's Redis.

    Django's own serializer unpickles what it reads, so that who can write to Redis can run code.
    """

    def dumps(self, value: str | int) -> bytes | int:
        """Return what Redis stores. Raises ``TypeError`` for other types and text like ``"12"``."""
        if type(value) is int:
            return value
        if not isinstance(value, str) or REDIS_NUMBER.fullmatch(value.encode()):
            raise TypeError(f"a {type(value).__name__} that is not plain text cannot be stored")
        return value.encode()

    def loads(self, data: bytes) -> str | int:
        """Return the number, or else the text, that Redis gave."""
        # Not whatever ``int`` takes: "1_000" and " 12" are text, and come back as text.
        return int(data) if REDIS_NUMBER.fullmatch(data) else data.decode("utf-8", "replace")


class Store(Cache):
    """A diskcache that fails where diskcache tries again without end.

    A lock outlasts every wait when its holder is stopped, and a disk may be read-only for good.
    """

    # Private, and not in diskcache's stubs; but it is what every write goes through.
    @contextmanager
    def _transact(self, retry: bool = False, filename: str | None = None) -> Iterator[Any]:  # noqa: ARG002 - passed by position
        try:
            with super()._transact(False, filename) as transaction:  # type: ignore[misc]  # private
                yield transaction
        except Timeout as error:
            raise Timeout(f"{self.directory} is locked or read-only") from error


class EmbeddedCache(DjangoCache):
    """A cache in a folder, shared by all processes of one machine, without a server.

    diskcache, set up so that it can hold a journal (it never evicts) and cannot unpickle code.
    One store a process is shared by its threads, and many keys are written in one transaction.
    """

    def __init__(self, directory: str, params: dict[str, Any]) -> None:
        super(DjangoCache, self).__init__(params)
        self._cache = _store(str(directory))

    def set_many(
        self,
        data: Mapping[str, Any],
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[str]:
        """Set all of ``data`` with one ``timeout`` in seconds."""
        for keys in _batches(data):
            with self._cache.transact():
                for key in keys:
                    self.set(key, data[key], timeout=timeout, version=version)
        return []

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> None:
        """Delete all of ``keys``."""
        for some in _batches(keys):
            with self._cache.transact():
                for key in some:
                    self.delete(key, version=version)

    def close(self, **_: object) -> None:
        """Keep the store open: Django calls this after each request, opening costs milliseconds."""


@cache
def _embedded(directory: str) -> EmbeddedCache:
    return EmbeddedCache(directory, {"TIMEOUT": 300})


@cache
def _store(directory: str) -> "Store":
    return Store(
        directory,
        timeout=LOCK_SECONDS,
        disk=SafeDisk,
        eviction_policy="none",
        # A batch of answers stays in the database instead of becoming a file of its own.
        disk_min_file_size=2**22,
        # A quarter of diskcache's own, and in pages an eighth: both are memory of every process.
        sqlite_mmap_size=2**24,
        sqlite_cache_size=2**10,
    )


def _batches(keys: Iterable[str]) -> Iterable[list[str]]:
    listed = list(keys)
    for start in range(0, len(listed), TRANSACTION_KEYS):
        yield listed[start : start + TRANSACTION_KEYS]
