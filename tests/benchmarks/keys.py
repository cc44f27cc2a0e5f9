"""Leave a shared Redis as it was found."""

from django.core.cache.backends.redis import RedisCache

from geocache.cache import backends
from tests.support.redis_client import redis_client


def remove() -> None:
    """Delete the keys of this run, which begin with its prefix; an embedded cache is a folder."""
    cache = backends.current()
    if isinstance(cache, RedisCache):
        with redis_client() as client:
            names = list(client.scan_iter(f"{cache.key_prefix}:*", count=10_000))
            for start in range(0, len(names), 10_000):
                client.unlink(*names[start : start + 10_000])
