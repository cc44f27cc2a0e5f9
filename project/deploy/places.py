"""Print for ``backup.sh`` and ``restore.sh`` where everything is, as assignments of a shell."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

KINDS: Final = {"sqlite3": "sqlite", "postgresql": "postgresql", "mysql": "mariadb"}
# What each client reads from the environment, so that no list of processes shows a password.
CLIENTS: Final = {
    "postgresql": {
        "NAME": "PGDATABASE",
        "USER": "PGUSER",
        "PASSWORD": "PGPASSWORD",
        "HOST": "PGHOST",
        "PORT": "PGPORT",
        "sslmode": "PGSSLMODE",
        "sslrootcert": "PGSSLROOTCERT",
    },
    "mariadb": {
        "NAME": "MARIADB_DATABASE",
        "USER": "MARIADB_USER",
        "PASSWORD": "MYSQL_PWD",
        "HOST": "MYSQL_HOST",
        "PORT": "MYSQL_TCP_PORT",
    },
}


def places() -> Iterator[tuple[str, str]]:
    """Give names of variables, and what they hold."""
    database, cache = settings.DATABASES["default"], settings.CACHES["geocache"]
    yield "VAR_DIR", str(settings.VAR_DIR)
    # Keys of the cache begin with both: elsewhere, what waits in the journal would not be found.
    yield "JOURNAL", f"database {_name(database)}, prefix {cache['KEY_PREFIX']}"
    yield from _database(database)
    yield from _cache(cache)


def _kind(database: dict[str, Any]) -> str:
    return KINDS[database["ENGINE"].rpartition(".")[2]]


def _name(database: dict[str, Any]) -> str:
    name = database["NAME"]
    return str(Path(name).resolve()) if _kind(database) == "sqlite" else str(name)


def _database(database: dict[str, Any]) -> Iterator[tuple[str, str]]:
    kind = _kind(database)
    yield "DATABASE_KIND", kind
    if kind == "sqlite":
        yield "DATABASE_FILE", _name(database)
    known = database | database.get("OPTIONS", {})
    for name, variable in CLIENTS.get(kind, {}).items():
        if known.get(name):
            yield variable, str(known[name])


def _cache(cache: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if cache["BACKEND"].endswith(".EmbeddedCache"):
        yield "CACHE_KIND", "embedded"
        yield "CACHE_FILE", f"{cache['LOCATION']}/cache.sqlite3"
        return
    yield "CACHE_KIND", "redis"
    # The first one takes the writes. A password has neither of the two: they are encoded.
    parts = urlsplit(cache["LOCATION"].replace(";", ",").partition(",")[0])
    if parts.scheme == "unix":
        yield "REDIS_OPTIONS", f"-s {parts.path}"
    else:
        tls = " --tls" if parts.scheme == "rediss" else ""
        yield "REDIS_OPTIONS", f"-h {parts.hostname} -p {parts.port or 6379}{tls}"
    if parts.username:
        yield "REDIS_USER", unquote(parts.username)
    if parts.password:
        yield "REDISCLI_AUTH", unquote(parts.password)


if __name__ == "__main__":
    for name, text in places():
        print(f"export {name}={shlex.quote(text)}")  # noqa: T201 - the shell reads it
