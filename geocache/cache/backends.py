"""Which Django cache holds hot entries and journal; the only user of ``django.core.cache``.

It is the one that ``CACHES`` names under ``GEOCACHE["CACHE_ALIAS"]``, or else an embedded one.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.core.cache import BaseCache
from django.core.cache import caches as django_caches
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.memcached import BaseMemcachedCache
from django.core.cache.backends.redis import RedisCache, RedisSerializer
from django.core.signals import setting_changed

from geocache import conf
from geocache.cache.circuit_breaker import CircuitBreaker
from geocache.cache.embedded import EmbeddedCache

# Not shared by processes, not atomic, or free to evict: the journal does not fit in these.
UNFIT_FOR_JOURNAL: Final = (
    BaseMemcachedCache,
    DatabaseCache,
    DummyCache,
    FileBasedCache,
    LocMemCache,
)
# Around all that a look-up asks of the cache: a server that has vanished costs one look-up of a
# process its time-out every five seconds, not several time-outs each. A flush takes its time.
breaker: Final = CircuitBreaker(slow_seconds=0.5, open_seconds=5.0)
# How Redis writes its 64-bit counters.
REDIS_NUMBER: Final = re.compile(rb"-?[0-9]{1,19}")


def current() -> BaseCache:
    """Return the cache for hot entries and journal, as this thread has to use it."""
    return _embedded() or django_caches[conf.get("CACHE_ALIAS")]


def opened() -> BaseCache:
    """Return the cache; raise ``CacheUnusable`` if it is the embedded one and cannot be opened."""
    backend = current()
    if isinstance(backend, EmbeddedCache):
        backend.open()
    return backend


def can_hold_journal(backend: BaseCache) -> bool:
    """Tell whether ``add`` is atomic on ``backend``, for all processes, and nothing is evicted."""
    return not isinstance(backend, UNFIT_FOR_JOURNAL)


def eviction_policy(backend: BaseCache) -> str | None:
    """Return the eviction policy of a diskcache that the project brings, else None."""
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
    """Add a record that lives for ever and an entry, both or neither, in one trip.

    False: neither, as something stands under the record's key (on Redis, also under the entry's),
    or because the cache is another.
    """
    if isinstance(backend, EmbeddedCache):
        return backend.add_and_set((key, text), (entry.key, entry.text), entry.seconds)
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


@cache
def _embedded() -> EmbeddedCache | None:
    """Return the embedded cache, if it is that one: all threads can use it.

    Django finds the one of a thread in as much time as it takes to read an entry.
    """
    alias = conf.get("CACHE_ALIAS")
    if alias not in conf.caches():
        return EmbeddedCache(str(conf.var_dir() / "cache"), {"TIMEOUT": 300})
    backend = django_caches[alias]
    return backend if isinstance(backend, EmbeddedCache) else None


def _forget(*, setting: str, **_: object) -> None:
    if setting in ("GEOCACHE", "CACHES", "BASE_DIR"):
        _embedded.cache_clear()


setting_changed.connect(_forget, dispatch_uid="geocache.cache")
