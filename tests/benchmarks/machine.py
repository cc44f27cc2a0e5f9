"""Which machine, versions and services the figures are of."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from django.core.cache.backends.redis import RedisCache
from django.db import connection

from geocache.cache import backends
from tests.support.redis_client import redis_client

LIBRARIES = (
    "django", "geoip2", "geoip2fast", "maxminddb", "maxminddb-rust", "msgspec", "psycopg", "redis",
)  # fmt: skip


def machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load": [round(one, 2) for one in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of what is installed of the libraries."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def services() -> dict[str, dict[str, str]]:
    cache = backends.current()
    described = {"name": type(cache).__name__}
    if isinstance(cache, RedisCache):
        with redis_client() as client:
            described["version"] = client.info("server")["redis_version"]
    return {"database": _database(), "cache": described}


def pair() -> str:
    """Return the names of database and cache, without versions."""
    return ", ".join(service["name"] for service in services().values())


def print_machine() -> None:
    of = machine()
    load = ", ".join(f"{one:.1f}" for one in of["load"])
    memory = of["memory_bytes"] / 2**30
    print(f"machine: {of['processor']}, {of['cores']} cores, {memory:.0f} GiB, load {load}")
    print("versions:", ", ".join(" ".join(one) for one in versions().items()))
    print("services:", ", ".join(" ".join(one.values()) for one in services().values()))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _database() -> dict[str, str]:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT sqlite_version()")
            return {"name": "SQLite", "version": cursor.fetchone()[0]}
        cursor.execute("SELECT version()")
        name, number, *_ = cursor.fetchone()[0].split()
    return {"name": name, "version": number}
