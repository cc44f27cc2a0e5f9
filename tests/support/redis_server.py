"""A Redis server as the cache of one test, which it may kill, stop and starve."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import require
from tests.support.redis_process import RedisServer, free_port, running

__all__ = ["OPTIONS", "RedisServer", "a_redis_server", "free_port"]

OPTIONS = {
    "serializer": "geocache.cache.backends.TextSerializer",
    "socket_connect_timeout": 1,
    "socket_timeout": 1,
}


@contextmanager
def a_redis_server(
    folder: Path,
    settings: Any,
    *,
    has_append_only_file: bool = False,
    env: dict[str, str] | None = None,
    **options: Any,
) -> Iterator[RedisServer]:
    """Start a server, and make it the cache of the running test."""
    require(shutil.which("redis-server") is not None, "redis-server")
    server = RedisServer(folder, has_append_only_file=has_append_only_file, env=env)
    with running(server):
        settings.CACHES = {
            **settings.CACHES,
            "geocache": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": server.url,
                "KEY_PREFIX": settings.CACHES["geocache"]["KEY_PREFIX"],
                "OPTIONS": OPTIONS | options,
            },
        }
        yield server
