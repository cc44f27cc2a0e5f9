"""What a host connects to: PostgreSQL, with and without pgbouncer before it, and Redis."""

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from redis import Redis

from tests.conftest import is_listening, require
from tests.support.redis_process import free_port

CONFIGURATION = """
[databases]
* = host={HOST_POSTGRES} port={HOST_POSTGRES_PORT} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {HOST_PGBOUNCER_PORT}
auth_type = any
pool_mode = transaction
default_pool_size = 3
unix_socket_dir =
"""


@contextmanager
def a_database(postgres_url: str) -> Iterator[Mapping[str, str]]:
    """Yield the environment of a host that has a database there; drop that after."""
    name, server = f"geocache_host_{uuid.uuid4().hex[:12]}", urlsplit(postgres_url)
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield {
                "HOST_DATABASE": name,
                "HOST_POSTGRES": str(server.hostname),
                "HOST_POSTGRES_PORT": str(server.port or 5432),
            }
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def running_pgbouncer(postgres_url: str) -> Iterator[Mapping[str, str]]:
    """Yield the environment of a host that connects through a pgbouncer in transaction mode."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    require(program is not None, "pgbouncer")
    assert program is not None
    with a_database(postgres_url) as database, tempfile.TemporaryDirectory() as folder:
        variables = {**database, "HOST_PGBOUNCER_PORT": str(free_port())}
        Path(folder).chmod(0o755)
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format_map(variables))
        # It refuses to run as root.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([program, "-q", *user, str(file)])
        try:
            _wait_for(int(variables["HOST_PGBOUNCER_PORT"]))
            yield variables
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def some_keys(redis_url: str) -> Iterator[Mapping[str, str]]:
    """Yield the environment of a host that has keys of its own in Redis; delete them after."""
    prefix = f"geocache-host-{uuid.uuid4().hex[:12]}"
    try:
        yield {"HOST_REDIS_URL": redis_url, "HOST_KEY_PREFIX": prefix}
    finally:
        with Redis.from_url(redis_url) as client:
            if keys := list(client.scan_iter(f"{prefix}*", count=1000)):
                client.delete(*keys)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while not is_listening(f"postgres://127.0.0.1:{port}", port):
        assert time.monotonic() < deadline, "pgbouncer does not listen"
        time.sleep(0.05)
