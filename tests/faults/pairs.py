"""The pairs of cache and database that a run can choose, and what each needs for itself."""

import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pymysql
import redis

from tests.support.cache_set_ups import SET_UPS, SetUp

REDIS_URL = os.environ.get("GEOCACHE_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
POSTGRES_URL = os.environ.get(
    "GEOCACHE_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres"
)
MARIADB_URL = os.environ.get("GEOCACHE_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/mysql")


@dataclass(frozen=True)
class Pair:
    """Where a cache and a database are; no ``run_sql`` for a database in the folder of the run.

    A cache of ``set_up`` has servers of its own.
    """

    cache_url: str = ""
    database_url: str = ""
    run_sql: Callable[[str], None] | None = None
    create: str = "CREATE DATABASE {}"
    drop: str = "DROP DATABASE {}"
    set_up: SetUp | None = None


def _run_on_postgres(statement: str) -> None:
    with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
        connection.execute(statement)


def _run_on_mariadb(statement: str) -> None:
    parts = urlsplit(MARIADB_URL)
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)


def _with_postgres(cache_url: str = "", set_up: SetUp | None = None) -> Pair:
    return Pair(
        cache_url,
        POSTGRES_URL,
        _run_on_postgres,
        drop="DROP DATABASE {} WITH (FORCE)",
        set_up=set_up,
    )


PAIRS = {
    "embedded-sqlite": Pair(),
    "redis-postgres": _with_postgres(REDIS_URL),
    "redis-mariadb": Pair(REDIS_URL, MARIADB_URL, _run_on_mariadb),
    **{f"{name}-postgres": _with_postgres(set_up=set_up) for name, (_, set_up) in SET_UPS.items()},
}


@contextmanager
def scratch(pair: Pair) -> Iterator[dict[str, str]]:
    """Give the environment of a run with a folder, a database and cache keys of its own."""
    name = f"geocache_faults_{uuid.uuid4().hex[:10]}"
    with ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix=f"{name}_", ignore_cleanup_errors=True)
        )
        Path(folder, "static").mkdir()
        entry = None
        if pair.set_up:
            Path(folder, "servers").mkdir()
            entry = stack.enter_context(pair.set_up(Path(folder, "servers")))
        if pair.run_sql:
            pair.run_sql(pair.create.format(name))
        try:
            yield {
                "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
                "GEOCACHE_VAR_DIR": folder,
                "GEOCACHE_DATABASES": "",
                "DATABASE_URL": _database_url(pair, name, folder),
                "CACHE_URL": pair.cache_url,
                "CACHE_KEY_PREFIX": name,
                "GEOCACHE_FAULTS_CACHE": json.dumps(entry),
                "DEBUG": "true",
                "LOG_LEVEL": "WARNING",
            }
        finally:
            if pair.run_sql:
                pair.run_sql(pair.drop.format(name))
            if pair.cache_url:
                _remove_keys(pair.cache_url, name)


def _database_url(pair: Pair, name: str, folder: str) -> str:
    if not pair.database_url:
        return f"sqlite:///{folder}/faults.sqlite3"
    return urlunsplit(urlsplit(pair.database_url)._replace(path=f"/{name}"))


def _remove_keys(url: str, prefix: str) -> None:
    with redis.Redis.from_url(url) as client:
        some: list[bytes] = []
        for key in client.scan_iter(f"{prefix}:*", count=1000):
            some.append(key)
            if len(some) == 1000:
                client.unlink(*some)
                some.clear()
        if some:
            client.unlink(*some)
