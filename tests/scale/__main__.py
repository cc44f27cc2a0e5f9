"""``python -m tests.scale``: groups of hosts with a Redis each, and one scheduler for all of them.

Starts its own Redis servers, makes a PostgreSQL database of its own, and removes both again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.support.cache_set_ups import djangos
from tests.support.redis_process import RedisServer, running

POSTGRES_URL = os.environ.get(
    "GEOCACHE_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres"
)
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Measure and print; end with 1 when an answer that was recorded is not in the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--groups", type=int, default=2, help="each with a Redis of its own (2)")
    parser.add_argument("--processes", type=int, default=2, help="of writers, in each group (2)")
    parser.add_argument("--writers", type=int, default=1_000, help="simulated, in all (1000)")
    parser.add_argument("--seconds", type=float, default=20, help="that they write (20)")
    parser.add_argument(
        "--rate", type=float, default=0, help="new answers a second in all (0: what they can)"
    )
    parser.add_argument("--pause", type=float, default=2, help="seconds between two flushes (2)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, a_database() as url:
        found = measure(options, Path(folder), url)
    print(json.dumps(found) if options.json else "\n".join(lines(found)))
    sys.exit(1 if found["not in the table"] else 0)


def measure(options: argparse.Namespace, folder: Path, database_url: str) -> dict[str, Any]:
    """Have all write and one flush, then compare what was recorded with the table."""
    names = [f"group_{number}" for number in range(options.groups)]
    (folder / "static").mkdir()
    with ExitStack() as stack:
        servers = {}
        for name in names:
            (folder / name).mkdir()
            servers[name] = stack.enter_context(running(RedisServer(folder / name)))
        entries = {name: djangos(server.url) for name, server in servers.items()}
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.scale.settings",
            "DATABASE_URL": database_url,
            "CACHE_URL": "",
            "GEOCACHE_VAR_DIR": str(folder),
            "GEOCACHE_SCALE_CACHES": json.dumps(entries),
            "GEOCACHE_SCALE_ALIAS": names[0],
            "GEOCACHE_SCALE_ALIASES": " ".join(names),
            "DEBUG": "false",
            "SECRET_KEY": "x",
            "ALLOWED_HOSTS": "*",
            "LOG_LEVEL": "ERROR",
        }
        migrate = [sys.executable, "-m", "django", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, env=env, cwd=ROOT, check=True)
        empty = memory_of(servers)
        flusher = start("flusher", [options.pause], env)
        per_process = options.writers // (options.groups * options.processes)
        rate = options.rate / (options.groups * options.processes)
        started = time.monotonic()
        writers = [
            start(
                "writers",
                [place, per_process, options.seconds, rate],
                {**env, "GEOCACHE_SCALE_ALIAS": names[place % len(names)]},
            )
            for place in range(options.groups * options.processes)
        ]
        written = [json.loads(one.communicate()[0]) for one in writers]
        seconds = time.monotonic() - started
        waiting, full = sum(map(pending_in, servers.values())), memory_of(servers)
        cpu_of_redis = sum(map(cpu_seconds, servers.values()))
        flusher_report = json.loads(flusher.communicate("")[0])
        recorded = sum(one["taken"] for one in written)
        left = memory_of(servers)
        tickets = sum(map(tickets_of, servers.values()))
    in_table = rows_in(database_url)
    writing_seconds = max(one["seconds"] for one in written)
    return {
        "groups": options.groups,
        "simulated writers": per_process * len(writers),
        "seconds": round(writing_seconds, 1),
        "answers recorded": recorded,
        "refused": sum(one["refused"] for one in written),
        "recorded a second": round(recorded / writing_seconds),
        "flushed while they wrote": flusher_report["flushed"],
        "flushed a second of flush": round(flusher_report["flushed"] / flusher_report["seconds"])
        if flusher_report["seconds"]
        else 0,
        "slowest flush, seconds": round(flusher_report["slowest"], 2),
        "left at the end, and flushed then": flusher_report["drained"],
        "flushed a second of that": round(
            flusher_report["drained"] / flusher_report["drain_seconds"]
        ),
        "most that waited after a flush": flusher_report["most_pending"],
        "tickets (segments)": tickets,
        "answers of a segment": round(recorded / tickets, 1) if tickets else 0,
        "bytes of a hot entry in Redis": round((left - empty) / recorded),
        "bytes of a waiting answer in Redis, beside it": round((full - left) / waiting)
        if waiting
        else 0,
        "bytes of a row in PostgreSQL": round(in_table["bytes"] / max(in_table["rows"], 1)),
        "processor of writers, microseconds each": micro(
            sum(one["cpu_seconds"] for one in written), recorded
        ),
        "processor of the flush, microseconds each": micro(flusher_report["cpu_seconds"], recorded),
        "processor of Redis, microseconds each": micro(cpu_of_redis, recorded),
        "seconds in all": round(seconds, 1),
        "lost records": flusher_report["lost"],
        "not in the table": recorded - in_table["rows"],
    }


def start(module: str, arguments: list[Any], env: dict[str, str]) -> subprocess.Popen[str]:
    """Start a process of the run."""
    code = f"import django; django.setup(); from tests.scale import {module}; {module}.main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=env,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def memory_of(servers: dict[str, RedisServer]) -> int:
    """Return the bytes that all servers use."""
    total = 0
    for server in servers.values():
        with server.client() as client:
            total += client.info("memory")["used_memory"]
    return total


def pending_in(server: RedisServer) -> int:
    """Return how many answers wait in the journal of a server."""
    with server.client() as client:
        return sum(int(client.get(key) or 0) for key in client.scan_iter("*:n", count=1_000))


def cpu_seconds(server: RedisServer) -> float:
    """Return what a server has used of a processor."""
    with server.client() as client:
        used = client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def tickets_of(server: RedisServer) -> int:
    """Return how many segments were given out, of which each one has an owner for an hour."""
    with server.client() as client:
        return sum(1 for _ in client.scan_iter("*:o:*", count=1_000))


def micro(seconds: float, count: int) -> int:
    """Return the microseconds of each."""
    return round(1e6 * seconds / max(count, 1))


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Give a table in Markdown."""
    yield from ("| what | figure |", "|---|---|")
    for name, value in found.items():
        yield f"| {name} | {value:,} |"


@contextmanager
def a_database() -> Iterator[str]:
    """Make a database, give its URL, and drop it."""
    name = f"geocache_scale_{uuid.uuid4().hex[:8]}"
    run_sql(f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(POSTGRES_URL)._replace(path=f"/{name}"))
    finally:
        run_sql(f"DROP DATABASE {name} WITH (FORCE)")


def run_sql(statement: str) -> None:
    with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
        connection.execute(statement)


def rows_in(url: str) -> dict[str, int]:
    """Return how many rows the table has, and their bytes with all indexes."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*), pg_total_relation_size('geocache_geocache') FROM geocache_geocache"
        ).fetchone()
    assert row is not None
    return {"rows": row[0], "bytes": row[1]}


if __name__ == "__main__":
    main()
