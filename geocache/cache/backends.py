"""Which Django cache holds hot entries and journal; the only user of ``django.core.cache``.

It is the one that ``CACHES`` names under ``GEOCACHE["CACHE_ALIAS"]``, or else an embedded one.
A run of tests has an embedded one of its own, unless a test itself names another.
"""

import math
import pickle
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
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
from django.core.cache.backends.redis import RedisCache
from django.core.signals import setting_changed

from geocache import conf, under_test
from geocache.cache import probe, redis_commands
from geocache.cache.circuit_breaker import CircuitBreaker
from geocache.cache.embedded import EmbeddedCache
from geocache.exceptions import CacheUnavailable

# What a probe of a cache does not see: it has one process, and a moment.
UNFIT_FOR_JOURNAL: Final[dict[type[BaseCache], str]] = {
    BaseMemcachedCache: "it evicts entries when its memory is full",
    DatabaseCache: "it deletes entries beyond MAX_ENTRIES",
    DummyCache: "it keeps nothing",
    FileBasedCache: "its add() is not atomic, and it deletes entries beyond MAX_ENTRIES",
    LocMemCache: "each process has its own",
}
# How long a cache that was found unfit is taken for unfit: its set-up may change meanwhile.
UNFIT_SECONDS: Final = 300.0
# Around all that a look-up asks of the cache: a server that has vanished costs one look-up of a
# process its time-out every five seconds, not several time-outs each. A flush takes its time.
breaker: Final = CircuitBreaker(slow_seconds=0.5, open_seconds=5.0)
# A node refuses keys that other nodes hold, and a script cannot use keys of two nodes.
CLUSTER_NODE: Final = (
    "its server is a node of a Redis Cluster, which keeps other keys of the journal on other nodes"
)
# Keys of hot entries begin so, then with the id of the database.
ENTRY_KEYS: Final = "e:"
# Keys that Redis looks at in one step of a scan.
SCANNED_KEYS: Final = 1_000
# A value that only a pickle brings back, and that any process can unpickle.
UNPICKLED: Final = 1j
# How Redis writes its 64-bit counters.
REDIS_NUMBER: Final = re.compile(rb"-?[0-9]{1,19}")


def current() -> BaseCache:
    """Return the cache for hot entries and journal, as this thread has to use it."""
    # Of tests and of the site there may be one each in a process.
    return _embedded(under_test.is_this_process()) or django_caches[conf.get("CACHE_ALIAS")]


def journal_aliases() -> list[str]:
    """Return the aliases of the caches whose journals this process flushes, its own first.

    What is deleted is deleted from the hot entries of all of these.
    """
    own = conf.get("CACHE_ALIAS")
    others = (one for one in dict.fromkeys(conf.get("CACHE_ALIASES")) if one != own)
    if under_test.is_this_process():
        # Those of the site are not for its tests.
        others = (one for one in others if conf.names_cache(one))
    return [own, *others]


@contextmanager
def using(alias: str) -> Iterator[None]:
    """Have ``selected`` be the cache of ``alias`` in the block, for one journal among several.

    Look-ups never ask for it: what a receiver of a signal looks up in the block is read from, and
    journaled in, this process's own cache.
    """
    token = _selected.set(None if alias == conf.get("CACHE_ALIAS") else alias)
    try:
        yield
    finally:
        _selected.reset(token)


def selected() -> BaseCache:
    """Return the cache whose journal is at hand: that of ``using``, or else ``current``."""
    alias = _selected.get()
    return current() if alias is None else django_caches[alias]


def selected_alias() -> str:
    """Return the alias of the cache that ``selected`` returns."""
    alias: str = _selected.get() or conf.get("CACHE_ALIAS")
    return alias


_selected: Final[ContextVar[str | None]] = ContextVar("geocache_selected_alias", default=None)


def opened() -> BaseCache:
    """Return the cache; raise ``CacheUnusable`` if it is the embedded one and cannot be opened."""
    backend = current()
    if isinstance(backend, EmbeddedCache):
        backend.open()
    return backend


def can_hold_journal(backend: BaseCache) -> bool:
    """Tell whether the cache that ``selected`` returns can hold the journal."""
    return not journal_problem(backend, selected_alias())


def journal_problem(backend: BaseCache, alias: str = "") -> str:
    """Return why the cache of ``alias`` (``CACHE_ALIAS``) cannot hold a journal, or the empty text.

    That is tried out once per process, before its first record, and again after a while if the
    cache is unfit. Raises what the cache's library raises, or ``CacheUnavailable``, when the cache
    does not work now.
    """
    if isinstance(backend, EmbeddedCache):
        return ""
    alias = alias or conf.get("CACHE_ALIAS")
    problem, until = _known_problems.get(alias, ("", 0.0))
    if time.monotonic() >= until:
        problem = _find_problem(backend)
        _known_problems[alias] = problem, time.monotonic() + UNFIT_SECONDS if problem else math.inf
    return problem


# By alias, with the time at which to look again.
_known_problems: Final[dict[str, tuple[str, float]]] = {}


def _find_problem(backend: BaseCache) -> str:
    for kind, reason in UNFIT_FOR_JOURNAL.items():
        if isinstance(backend, kind):
            return reason
    # django-redis and django-valkey.
    if getattr(backend, "_ignore_exceptions", False):
        return (
            "it hides its errors (IGNORE_EXCEPTIONS): a write that failed looks like a refused one"
        )
    policy = getattr(getattr(backend, "_cache", None), "eviction_policy", "none")
    if policy != "none":
        return f'it evicts entries: its eviction_policy is "{policy}" instead of "none"'
    # First whether it can be reached: the policy is also unknown where a server does not tell.
    try:
        problem = probe.problem_of(backend)
        # A client of a cluster takes no transaction over several keys.
        delete_if_equal(backend, [probe.ANY_KEY, f"{probe.ANY_KEY}2"], "")
    except Exception:
        # Where all keys are on one node, a cluster does what the journal needs.
        if is_cluster_node(backend):
            return CLUSTER_NODE
        raise
    memory = redis_memory(backend)
    if not problem and memory and memory.policy.startswith("allkeys-") and memory.limit:
        return f"it evicts entries: Redis has maxmemory-policy {memory.policy}"
    return problem


def is_cluster_node(backend: BaseCache) -> bool:
    """Tell whether ``backend`` is on a server that is a node of a Redis Cluster."""
    try:
        return bool(redis_client(backend).info("cluster")["cluster_enabled"])
    except Exception:  # noqa: BLE001 - another cache, down, or managed and not willing to say
        return False


def serializer_of(backend: BaseCache) -> Any:
    """Return what turns values into bytes in Django's Redis, django-redis and django-valkey."""
    client = getattr(backend, "_cache" if isinstance(backend, RedisCache) else "client", None)
    return getattr(client, "_serializer", None)


def does_unpickle(backend: BaseCache) -> bool:
    """Tell whether ``backend`` is a Redis whose serializer unpickles."""
    try:
        return bool(serializer_of(backend).loads(pickle.dumps(UNPICKLED)) == UNPICKLED)
    except Exception:  # noqa: BLE001 - no serializer, or one that refuses what it cannot read
        return False


def stores_text_only(backend: BaseCache) -> bool:
    """Tell whether ``backend`` refuses the values of a host: sessions, pages, objects."""
    return isinstance(backend, EmbeddedCache) or isinstance(serializer_of(backend), TextSerializer)


@dataclass(frozen=True, slots=True)
class RedisMemory:
    """What Redis does when its memory is full; a ``limit`` of 0 bytes is none."""

    policy: str
    limit: int


def redis_client(backend: BaseCache) -> Any:
    """Return a client on the server that Django's Redis, django-redis or django-valkey writes to.

    Raises ``AttributeError`` for another cache.
    """
    cache: Any = backend
    if isinstance(backend, RedisCache):
        return redis_commands.client(backend, write=True)
    return cache.client.get_client(write=True)


def redis_memory(backend: BaseCache) -> RedisMemory | None:
    """Return it for the server that is written to; None for others, or when it does not tell."""
    try:
        told = redis_client(backend).config_get("maxmemory*")
        return RedisMemory(str(told["maxmemory-policy"]), int(told["maxmemory"]))
    except Exception:  # noqa: BLE001 - another cache, down, or managed and not willing to say
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
    """Add a record that never expires, and its hot entry if the cache does both in one trip.

    Both or neither: nothing is added where something stands under the key of the record (on Redis,
    also of the entry). The counter of ``pending`` is raised by its number if the record was added.
    The one under ``flush_key`` is read after that: a flusher that raises it before it looks for
    the record either finds the record, or is seen here.
    """
    both = (entry.key, entry.text, entry.seconds) if entry else None
    if isinstance(backend, EmbeddedCache):
        is_added, numbers = backend.append(record, both, flush_key, pending)
        return Appended(is_added, is_added and entry is not None, *numbers)
    if isinstance(backend, RedisCache):
        client: Any = backend._cache
        # Such as a proxy or a user without scripts; a Redis that is full refuses the record, too.
        with suppress(client._lib.exceptions.ResponseError):
            return Appended(*redis_commands.append(backend, record, both, flush_key, pending))
    is_added = backend.add(*record, timeout=None)
    key, step = pending
    number, count = raised(backend, flush_key, 0), raised(backend, key, step if is_added else 0)
    return Appended(is_added, False, number, count)


def get(backend: BaseCache, key: str) -> Any:
    """Return what is under one key, None if nothing."""
    if isinstance(backend, RedisCache):
        return redis_commands.get(backend, key)
    return backend.get(key)


def get_many(backend: BaseCache, keys: Iterable[str]) -> dict[str, Any]:
    """Return what is under each of ``keys``, without those that are not there."""
    if isinstance(backend, RedisCache):
        return redis_commands.get_many(backend, keys)
    return backend.get_many(keys)


def set_many(backend: BaseCache, data: dict[str, str], seconds: float | None) -> None:
    """Set entries that have one time to live, in one trip."""
    if not (isinstance(backend, RedisCache) and redis_commands.set_many(backend, data, seconds)):
        backend.set_many(data, timeout=seconds)


def add_many(backend: BaseCache, keys: Iterable[str], value: str, seconds: float) -> set[str]:
    """Add ``value`` under each key that is free, in one trip if the cache can; return those."""
    names = list(keys)
    if isinstance(backend, EmbeddedCache):
        return backend.add_many(names, value, seconds)
    if isinstance(backend, RedisCache):
        return redis_commands.add_many(backend, names, value, seconds)
    return {name for name in names if backend.add(name, value, timeout=seconds)}


def delete_many(backend: BaseCache, keys: Iterable[str]) -> None:
    """Delete what is under each of ``keys``."""
    if isinstance(backend, RedisCache):
        redis_commands.delete_many(backend, keys)
    elif listed := list(keys):
        backend.delete_many(listed)


def incr(backend: BaseCache, key: str, step: int = 1) -> int:
    """Return what a counter is after a step; raise ``ValueError`` where there is none.

    Raises ``CacheUnavailable`` for what is not a number: a cache that hides errors returns None.
    """
    number: object = backend.incr(key, step)
    if not isinstance(number, int):
        raise CacheUnavailable(f"the cache counted to {number!r}: does it hide its errors?")
    return number


def raised(backend: BaseCache, key: str, step: int) -> int | None:
    """Return what a counter is after a step, from where the cache writes; None: there is none."""
    try:
        return incr(backend, key, step)
    except ValueError:
        return None


def add_to_counters(backend: BaseCache, steps: Mapping[str, int]) -> Iterator[list[str]]:
    """Raise counters that never expire, made where there are none; give the keys as they are done.

    All in one transaction where the cache has one: when this raises, what it has not given was not
    counted, unless the cache failed after it.
    """
    if isinstance(backend, EmbeddedCache):
        backend.add_to_counters(steps)
        yield [*steps]
    elif isinstance(backend, RedisCache):
        redis_commands.add_to_counters(backend, steps)
        yield [*steps]
    else:
        for key, step in steps.items():
            if raised(backend, key, step) is None:
                backend.add(key, 0, timeout=None)
                incr(backend, key, step)
            yield [key]


def scan(backend: BaseCache, beginning: str) -> Iterator[str] | None:
    """Give the keys that begin so, as often as the cache likes; None when it has no way to."""
    name = backend.make_key(beginning)
    if isinstance(backend, EmbeddedCache):
        found: Iterable[str] = backend.names(name)
    else:
        try:
            client = redis_client(backend)
        except (AttributeError, TypeError):
            return None
        match = re.sub(r"([*?\[\]\\])", r"\\\1", name) + "*"
        found = (key.decode() for key in client.scan_iter(match, count=SCANNED_KEYS))
    return (beginning + one.removeprefix(name) for one in found)


def delete_if_equal(backend: BaseCache, keys: Iterable[str], value: str) -> None:
    """Delete those of ``keys`` that hold ``value``, in one step with reading them.

    In two steps on a cache other than the embedded one and Django's Redis: there a value that
    changes in between is deleted as well.
    """
    names = list(keys)
    if isinstance(backend, EmbeddedCache):
        backend.delete_if_equal(names, value)
    elif isinstance(backend, RedisCache):
        redis_commands.delete_if_equal(backend, names, value)
    elif own := [name for name, held in backend.get_many(names).items() if held == value]:
        backend.delete_many(own)


class TextSerializer:
    """Store text and whole numbers as they are.

    It is for the option ``serializer`` of Django's Redis, and ``SERIALIZER`` of django-redis and
    django-valkey. Their own serializers unpickle what they read, so that a program that can write
    to Redis can run code.
    """

    def __init__(self, options: object = None) -> None:
        """Take the cache's options, which django-redis passes."""

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
def _embedded(_is_under_test: bool) -> EmbeddedCache | None:
    """Return the embedded cache, if it is that one: all threads can use it.

    Django finds the one of a thread in as much time as it takes to read an entry.
    """
    if not conf.names_cache():
        return EmbeddedCache(str(conf.var_dir() / "cache"), {"TIMEOUT": 300})
    backend = django_caches[conf.get("CACHE_ALIAS")]
    return backend if isinstance(backend, EmbeddedCache) else None


def _forget(*, setting: str, **_: object) -> None:
    if setting in ("GEOCACHE", "CACHES", "BASE_DIR"):
        _embedded.cache_clear()
        _known_problems.clear()


setting_changed.connect(_forget, dispatch_uid="geocache.cache")
