"""What Django's Redis cache does for this app in one trip, or with less work than by its own API.

Django creates a client of redis-py for each command, which takes two thirds of the time of a
``get``. Here one client is kept.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

from geocache.batches import batches

# Keys that one command deletes or one script writes: Redis runs one command at a time.
COMMAND_KEYS: Final = 1_000


class Script:
    """A script of Redis, which sends its text to a server that does not have it yet."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def run(self, backend: Any, names: list[str], values: list[Any]) -> Any:
        """Run it on the server that is written to."""
        redis = client(backend, write=True)
        try:
            return redis.evalsha(self.digest, len(names), *names, *values)
        except backend._cache._lib.exceptions.NoScriptError:
            return redis.eval(self.text, len(names), *names, *values)


# A script, as MSETNX has no times to live: an EXPIRE after it also runs when it has refused.
APPEND: Final = Script("""
    if redis.call('EXISTS', KEYS[1], KEYS[4] or KEYS[1]) > 0 then
        return {0, redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3])}
    end
    redis.call('SET', KEYS[1], ARGV[1])
    if KEYS[4] then
        redis.call('SET', KEYS[4], ARGV[3])
        if ARGV[4] ~= '' then redis.call('EXPIRE', KEYS[4], ARGV[4]) end
    end
    return {1, redis.call('GET', KEYS[2]), redis.call('INCRBY', KEYS[3], ARGV[2])}
""")
# As MSET has no times to live: Django sends an EXPIRE for each key after it.
SET_MANY: Final = Script("""
    for i = 1, #KEYS do redis.call('SET', KEYS[i], ARGV[i + 1], 'EX', ARGV[1]) end
""")

# By Django's client, which belongs to one thread; its entry goes with it.
_kept: Final[WeakKeyDictionary[Any, Any]] = WeakKeyDictionary()


def client(backend: Any, *, write: bool = False) -> Any:
    """Return a client of redis-py on the server that ``backend`` reads from or writes to."""
    django_client = backend._cache
    # A backend of the host may choose a server by the key, and Django one of several replicas.
    is_djangos = type(backend).__module__.startswith("django.")
    if not is_djangos or not (write or len(django_client._servers) == 1):
        return django_client.get_client(write=write)
    kept = _kept.get(django_client)
    if kept is None:
        _kept[django_client] = kept = django_client.get_client(write=True)
    return kept


def get(backend: Any, key: str) -> Any:
    """Return what ``backend.get`` does."""
    value = client(backend).get(backend.make_key(key))
    return None if value is None else backend._cache._serializer.loads(value)


def get_many(backend: Any, keys: Iterable[str]) -> dict[str, Any]:
    """Return what ``backend.get_many`` does."""
    names = list(keys)
    if not names:
        return {}
    loads = backend._cache._serializer.loads
    found = zip(names, client(backend).mget([*map(backend.make_key, names)]), strict=True)
    return {name: loads(value) for name, value in found if value is not None}


def set_many(backend: Any, data: Mapping[str, str], seconds: float | None) -> bool:
    """Do what ``backend.set_many`` does; False where a script does not."""
    rounded = backend.get_backend_timeout(seconds)
    # SET has no way to write what expires at once.
    if not rounded:
        return False
    dumps = backend._cache._serializer.dumps
    # Such as a proxy or a user without scripts; a Redis that is full refuses the other way, too.
    with suppress(backend._cache._lib.exceptions.ResponseError):
        for some in batches(list(data.items()), COMMAND_KEYS):
            names = [backend.make_key(key) for key, _ in some]
            SET_MANY.run(backend, names, [rounded, *(dumps(text) for _, text in some)])
        return True
    return False


def add_many(backend: Any, keys: list[str], value: str, seconds: float) -> set[str]:
    """Add ``value`` under each key that is free, and return those."""
    held = backend._cache._serializer.dumps(value)
    lasting = backend.get_backend_timeout(seconds)
    added: set[str] = set()
    for some in batches(keys, COMMAND_KEYS):
        pipeline = client(backend, write=True).pipeline(transaction=False)
        for key in some:
            pipeline.set(backend.make_and_validate_key(key), held, ex=lasting, nx=True)
        added |= {key for key, is_set in zip(some, pipeline.execute(), strict=True) if is_set}
    return added


def delete_many(backend: Any, keys: Iterable[str]) -> None:
    """Do what ``backend.delete_many`` does."""
    redis = client(backend, write=True)
    for some in batches([backend.make_key(key) for key in keys], COMMAND_KEYS):
        redis.delete(*some)


def append(
    backend: Any,
    record: tuple[str, str],
    entry: tuple[str, str, float | None] | None,
    flush_key: str,
    pending: tuple[str, int],
) -> tuple[bool, bool, int | None, int | None]:
    """Do what ``backends.append`` promises; return what ``Appended`` holds."""
    dumps, loads = backend._cache._serializer.dumps, backend._cache._serializer.loads
    names, values = [record[0], flush_key, pending[0]], [dumps(record[1]), pending[1]]
    seconds = backend.get_backend_timeout(entry[2]) if entry else None
    # SET has no way to write what expires at once.
    is_both = entry is not None and seconds != 0
    if entry and is_both:
        names.append(entry[0])
        values += [dumps(entry[1]), "" if seconds is None else seconds]
    found = APPEND.run(backend, [*map(backend.make_key, names)], values)
    is_added = bool(found[0])
    number, count = (loads(one) if isinstance(one, bytes) else one for one in found[1:])
    return is_added, is_added and is_both, number, count


def add_to_counters(backend: Any, steps: Mapping[str, int]) -> None:
    """Raise counters in one transaction."""
    pipeline = client(backend, write=True).pipeline(transaction=True)
    for key, step in steps.items():
        pipeline.incrby(backend.make_and_validate_key(key), step)
    pipeline.execute()


def delete_if_equal(backend: Any, keys: list[str], value: str) -> None:
    """Delete those of ``keys`` that hold ``value``, in one step with reading them."""
    if not keys:
        return
    names = [backend.make_and_validate_key(key) for key in keys]
    held = backend._cache._serializer.dumps(value)

    def delete_own(pipeline: Any) -> None:
        own = [name for name, one in zip(names, pipeline.mget(names), strict=True) if one == held]
        pipeline.multi()
        if own:
            pipeline.delete(*own)

    # Runs again when one of the names has changed since it began.
    client(backend, write=True).transaction(delete_own, *names)
