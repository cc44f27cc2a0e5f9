"""Which Django cache holds hot entries and journal; the only user of ``django.core.cache``.

It is the one that ``CACHES`` names under ``GEOCACHE["CACHE_ALIAS"]``, or else an embedded one.
"""

import re
from collections.abc import Iterable, Iterator
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
# Keys of hot entries begin so, then with the id of the database.
ENTRY_KEYS: Final = "e:"
# Keys that Redis looks at in one step of a scan.
SCANNED_KEYS: Final = 1_000
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


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a record, and what two counters were after it: None where there is none."""

    is_added: bool
    # Whether the hot entry was set: never without the record.
    is_set: bool = False
    flush_number: int | None = None
    pending_count: int | None = None


def append(
    backend: BaseCache,
    record: tuple[str, str],
    entry: Entry | None,
    *,
    flush_key: str,
    pending: tuple[str, int],
) -> Appended:
    """Add a record that lives for ever, and its hot entry if the cache does both in one trip.

    Both or neither: nothing is added where something stands under the key of the record (on Redis,
    also of the entry). The counter of ``pending`` is raised by its number if the record was added.
    The one under ``flush_key`` is read after that: a flusher that raises it before it looks for
    the record either finds the record, or is seen here.
    """
    if isinstance(backend, EmbeddedCache):
        both = (entry.key, entry.text, entry.seconds) if entry else None
        is_added, numbers = backend.append(record, both, flush_key, pending)
        return Appended(is_added, is_added and entry is not None, *numbers)
    if isinstance(backend, RedisCache):
        return _append_to_redis(backend, record, entry, flush_key, pending)
    is_added = backend.add(*record, timeout=None)
    key, step = pending
    number, count = raised(backend, flush_key, 0), raised(backend, key, step if is_added else 0)
    return Appended(is_added, False, number, count)


def raised(backend: BaseCache, key: str, step: int) -> int | None:
    """Return what a counter is after a step, from where the cache writes; None: there is none."""
    try:
        return backend.incr(key, step)
    except ValueError:
        return None


def _append_to_redis(
    backend: RedisCache,
    record: tuple[str, str],
    entry: Entry | None,
    flush_key: str,
    pending: tuple[str, int],
) -> Appended:
    client: Any = backend._cache
    dumps, key = client._serializer.dumps, backend.make_and_validate_key
    values = {key(record[0]): dumps(record[1])}
    if entry:
        values[key(entry.key)] = dumps(entry.text)
    pipeline = client.get_client(key(record[0]), write=True).pipeline()
    pipeline.msetnx(values)
    pipeline.get(key(flush_key))
    pipeline.incrby(key(pending[0]), pending[1])
    seconds = backend.get_backend_timeout(entry.seconds) if entry else None
    if entry and seconds is not None:
        pipeline.expire(key(entry.key), seconds)
    is_added, number, pending_count, *_ = pipeline.execute()
    if not is_added:
        pending_count = raised(backend, pending[0], -pending[1])
    return Appended(
        bool(is_added),
        bool(is_added) and entry is not None,
        None if number is None else client._serializer.loads(number),
        pending_count,
    )


def scan(backend: BaseCache, beginning: str) -> Iterator[str] | None:
    """Give the keys that begin so, as often as the cache likes; None when it has no way to."""
    name = backend.make_key(beginning)
    if isinstance(backend, EmbeddedCache):
        found: Iterable[str] = backend.names(name)
    elif isinstance(backend, RedisCache):
        client: Any = backend._cache.get_client()
        match = re.sub(r"([*?\[\]\\])", r"\\\1", name) + "*"
        found = (key.decode() for key in client.scan_iter(match, count=SCANNED_KEYS))
    else:
        return None
    return (beginning + one.removeprefix(name) for one in found)


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
