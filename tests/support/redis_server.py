"""A Redis server for one test, which it may kill, stop and starve."""

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis, RedisError

from tests.conftest import require
from tests.support.processes import wait_until

OPTIONS = {
    "serializer": "geocache.cache.backends.TextSerializer",
    "socket_connect_timeout": 1,
    "socket_timeout": 1,
}


class RedisServer:
    """One server process; its port stays the same after a restart."""

    def __init__(
        self, folder: Path, *, has_append_only_file: bool, env: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.env = env
        self.has_append_only_file = has_append_only_file
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            # Save only when a test asks for it.
            "save": "",
            "appendonly": "yes" if self.has_append_only_file else "no",
            # The default, "everysec", delays writes while the disk is slow.
            "appendfsync": "always",
        }
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            ["redis-server", *arguments],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers)

    def kill(self) -> None:
        """Kill it with -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it with -9 and start it on the files that it left."""
        self.kill()
        self.start()

    def stall(self) -> None:
        """Stop the process: connections stay open, but are not answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue after ``stall``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def client(self) -> Iterator[Redis]:
        """Give a new client, as another program would have."""
        with Redis(port=self.port, socket_timeout=5) as client:
            yield client

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False


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
    server.start()
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": server.url,
            "KEY_PREFIX": settings.CACHES["geocache"]["KEY_PREFIX"],
            "OPTIONS": OPTIONS | options,
        },
    }
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
