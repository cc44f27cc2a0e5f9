"""``python -m tests.benchmarks.load``: a site under load, with geocache, without, and at a flush.

Four workers of gunicorn and ``wrk``, on loopback and for seconds. Nine of ten addresses are known,
the others new. Needs ``wrk``, and DATABASE_URL and CACHE_URL of PostgreSQL and Redis.
"""

import argparse
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

WORKERS = 4
CONNECTIONS = 8
SCRIPT = Path(__file__).with_name("load.lua")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each way and round, at most 60")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed; on Debian: apt install wrk")
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ["CACHE_KEY_PREFIX"] = f"geocache-benchmark-{uuid.uuid4().hex[:8]}"
    os.environ.setdefault("LOG_LEVEL", "ERROR")

    import django

    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    from tests.benchmarks import keys, machine

    databases = setup_databases(verbosity=0, interactive=False)
    try:
        machine.print_machine()
        measure(min(options.seconds, 60), options.rounds)
    finally:
        keys.remove()
        teardown_databases(databases, verbosity=0)


def measure(seconds: int, rounds: int) -> None:
    from tests.benchmarks.measure import Answer, Figure, cost
    from tests.support.redis_server import free_port

    port = free_port()
    rates: dict[str, list[float]] = {}
    tails: dict[str, list[float]] = {}
    ways = {
        "without geocache": ("plain", False),
        "with it": ("located", False),
        "with it, while it flushes": ("located", True),
    }
    with process("gunicorn", f"--bind=127.0.0.1:{port}", f"--workers={WORKERS}", "project.wsgi"):
        wait_for(port)
        load(port, "located", 3, seed=0)
        # Each time other addresses: those of the time before are no longer new.
        seeds = count(1)
        for _ in range(rounds):
            for way, (page, is_flushed) in ways.items():
                with scheduler(is_flushed):
                    rate, *percentiles, errors = load(port, page, seconds, seed=next(seeds))
                assert not errors, f"{errors} requests failed"
                rates.setdefault(way, []).append(rate)
                for name, one in zip(("p50", "p90", "p99"), percentiles, strict=True):
                    tails.setdefault(f"{way}, {name}", []).append(one / 1e6)
    rate_figures = {way: Figure(way, values, "requests/s") for way, values in rates.items()}
    tail_figures = {way: Figure(way, values) for way, values in tails.items()}
    flushing, quiet = (tail_figures[f"{way}, p99"] for way in list(ways)[2:0:-1])
    bars = [cost("p99 while it flushes, of p99 without", flushing, quiet, 1.1)]
    print(f"\n{Answer('Requests, 90 % known addresses', [*rate_figures.values()])}")
    print(f"\n{Answer('How long they took', [*tail_figures.values()], bars)}")


def load(port: int, page: str, seconds: int, *, seed: int) -> list[float]:
    """Return requests a second, three percentiles in microseconds, and the number of errors."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"-s{SCRIPT}"]
    command += [f"http://127.0.0.1:{port}/", "--", page, str(seed)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in said.splitlines() if line.startswith("RESULT"))
    return [float(number) for number in line.split()[1:]]


@contextmanager
def scheduler(is_wanted: bool) -> Iterator[None]:
    from geocache.models import FlushRun
    from tests.support.processes import wait_until

    if not is_wanted:
        yield
        return
    earlier = FlushRun.objects.count()
    with process("django", "schedule_geo"):
        # To start a process takes a core for two seconds, and is no part of a flush.
        wait_until(lambda: FlushRun.objects.count() > earlier)
        yield


@contextmanager
def process(module: str, *arguments: str) -> Iterator[None]:
    from tests.support.processes import ROOT, environment

    given = environment(DJANGO_SETTINGS_MODULE="tests.benchmarks.load_settings")
    started = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=given,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
        assert started.poll() is None, f"{module} ended"
    finally:
        started.terminate()
        started.wait(timeout=60)


def wait_for(port: int) -> None:
    from tests.conftest import is_listening
    from tests.support.processes import wait_until

    wait_until(lambda: is_listening(f"http://127.0.0.1:{port}", port))


if __name__ == "__main__":
    main()
