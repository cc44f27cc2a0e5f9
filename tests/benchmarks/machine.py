"""Which machine, versions and services the figures are of."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from django.db import connection

from geocache.cache import backends

LIBRARIES = ("django", "geoip2", "maxminddb", "redis", "psycopg")


def describe() -> dict[str, str]:
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, load {load}",
        "versions": ", ".join(
            [
                f"Python {platform.python_version()}",
                *(f"{name} {version(name)}" for name in LIBRARIES),
            ]
        ),
        "services": f"{_database()}, {type(backends.current()).__name__}",
    }


def print_machine() -> None:
    for name, text in describe().items():
        print(f"{name}: {text}")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _database() -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT sqlite_version()")
            return f"SQLite {cursor.fetchone()[0]}"
        cursor.execute("SELECT version()")
        return " ".join(cursor.fetchone()[0].split()[:2])
