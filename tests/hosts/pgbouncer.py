"""A pgbouncer in transaction mode before the tests' PostgreSQL, with a database of its own."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.conftest import is_listening, require
from tests.support.redis_process import free_port

POSTGRES = os.environ.get(
    "GEOCACHE_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres"
)
CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
auth_type = any
pool_mode = transaction
default_pool_size = 3
unix_socket_dir =
"""


@contextmanager
def running_pgbouncer() -> Iterator[Mapping[str, str]]:
    """Yield the environment of a host that connects through pgbouncer; drop its database after."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    require(program is not None, "pgbouncer")
    require(is_listening(POSTGRES, 5432), "PostgreSQL")
    assert program is not None
    server = urlsplit(POSTGRES)
    name, port = f"geocache_host_{os.getpid()}", free_port()
    with _database(name), tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(
            CONFIGURATION.format(
                host=server.hostname, port=server.port or 5432, user=server.username, own_port=port
            )
        )
        # It refuses to run as root.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([program, "-q", *user, str(file)])
        try:
            _wait_for(port)
            yield {"HOST_PGBOUNCER_PORT": str(port), "HOST_DATABASE": name}
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def _database(name: str) -> Iterator[None]:
    with closing(psycopg.connect(POSTGRES, autocommit=True)) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while not is_listening(f"postgres://127.0.0.1:{port}", port):
        assert time.monotonic() < deadline, "pgbouncer does not listen"
        time.sleep(0.05)
