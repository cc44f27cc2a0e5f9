"""A PostgreSQL of its own, which may be stopped, suspended and started again."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.support.processes import wait_until
from tests.support.redis_process import free_port

DEBIAN = Path("/usr/lib/postgresql")
# Root may not run a server; of Debian's package there is a user who may.
USER = "postgres"
NAME = "geocache"


def program(name: str) -> str | None:
    """Return the path of a program of the newest PostgreSQL that is installed."""
    if found := shutil.which(name):
        return found
    return max(map(str, DEBIAN.glob(f"*/bin/{name}")), default=None)


class PostgresServer:
    """One server; its files and its port stay the same after a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgres://{USER}@127.0.0.1:{self.port}/{NAME}"
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make its files and one database."""
        if os.getuid() == 0:
            shutil.chown(self.folder, USER)
        options = ["--no-sync", "--auth=trust", f"--username={USER}", "--encoding=UTF8"]
        self._run("initdb", *options, "--locale=C", "--pgdata", str(self.folder / "data"))
        self.start()
        with self.connection("postgres") as connection:
            connection.execute(f"CREATE DATABASE {NAME}")

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            self._as_user("postgres", "-D", str(self.folder / "data"), *options),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._answers)

    def stop(self) -> None:
        """End it: connections are closed, new ones are refused."""
        if self._process is not None:
            self.go_on()
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)
            self._process = None

    def stall(self) -> None:
        """Suspend it, and what serves its connections: all stay open, and are not answered."""
        # It first: it would start others.
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    @contextmanager
    def connection(self, name: str = NAME) -> Iterator[psycopg.Connection]:
        """Give a new connection, as another program would have."""
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            dbname=name,
            autocommit=True,
            connect_timeout=2,
        ) as connection:
            yield connection

    def _answers(self) -> bool:
        try:
            with self.connection("postgres"):
                return True
        except psycopg.Error:
            return False

    def _signal(self, number: int) -> None:
        assert self._process is not None
        for pid in (self._process.pid, *_children(self._process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _run(self, *arguments: str) -> None:
        subprocess.run(self._as_user(*arguments), cwd=self.folder, check=True, capture_output=True)

    def _as_user(self, name: str, *arguments: str) -> list[str]:
        found = program(name)
        assert found, f"{name} is not installed"
        as_user = ["setpriv", f"--reuid={USER}", "--clear-groups"] if os.getuid() == 0 else []
        return [*as_user, found, *arguments]


def _children(pid: int) -> list[int]:
    done = subprocess.run(
        ["pgrep", "--parent", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in done.stdout.split()]


@contextmanager
def running(server: PostgresServer) -> Iterator[PostgresServer]:
    """Make a server, and stop it at the end."""
    try:
        server.make()
        yield server
    finally:
        server.stop()
