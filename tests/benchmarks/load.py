"""``python -m tests.benchmarks.load``: a site under load, with geocache, without, and at a flush.

Four workers of gunicorn, then of uvicorn with asynchronous views that ``await request.ageo()``, and
``wrk``, on loopback and for seconds. Nine of ten addresses are known, the others new. Needs
``wrk``, and DATABASE_URL and CACHE_URL of PostgreSQL and Redis.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tests.benchmarks.own_services import own_services

WORKERS = 4
CONNECTIONS = 8
# As its unit in project/deploy/systemd has it.
NICENESS = 10
SCRIPT = Path(__file__).with_name("load.lua")
# A view that does the same work without geocache, and with it.
PAGES = {"gunicorn": ("plain", "located"), "uvicorn": ("aplain", "alocated")}
PLAIN, LOCATED, FLUSHING = "without geocache", "with it", "with it, while it flushes"
PERCENTILES = ("p50", "p90", "p99")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each way and round, at most 60")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", nargs="+", choices=PAGES, default=list(PAGES))
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed; on Debian: apt install wrk")
    with own_services():
        from tests.benchmarks import machine

        machine.print_machine()
        # Of the next server, too, new addresses are new.
        seeds = count(1)
        for server in options.servers:
            measure(server, min(options.seconds, 60), options.rounds, seeds)


def measure(server: str, seconds: int, rounds: int, seeds: Iterator[int]) -> None:
    from tests.benchmarks.measure import Answer, Figure, cost
    from tests.support.redis_server import free_port

    port = free_port()
    plain, located = PAGES[server]
    ways = {PLAIN: (plain, False), LOCATED: (located, False), FLUSHING: (located, True)}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    tails: dict[str, list[float]] = {f"{way}, {one}": [] for way in ways for one in PERCENTILES}
    with process(*command(server, port)):
        wait_for(port)
        for page in (plain, located):
            load(port, page, 3, seed=0)
        for _ in range(rounds):
            for way, (page, is_flushed) in ways.items():
                with scheduler(is_flushed):
                    rate, *percentiles, errors = load(port, page, seconds, seed=next(seeds))
                assert not errors, f"{errors} requests failed"
                rates[way].append(rate)
                for name, one in zip(PERCENTILES, percentiles, strict=True):
                    tails[f"{way}, {name}"].append(one / 1e6)
    rate_figures = [Figure(way, values, "requests/s") for way, values in rates.items()]
    figures = {way: Figure(way, values) for way, values in tails.items()}
    bars = [
        cost(
            f"{one} while it flushes, of {one} without",
            figures[f"{FLUSHING}, {one}"],
            figures[f"{LOCATED}, {one}"],
            1.1,
        )
        for one in ("p50", "p99")
    ]
    print(f"\n{Answer(f'{server}: requests, 90 % known addresses', rate_figures)}")
    print(f"\n{Answer(f'{server}: how long they took', [*figures.values()], bars)}", flush=True)


def command(server: str, port: int) -> list[str]:
    if server == "gunicorn":
        return ["gunicorn", f"--bind=127.0.0.1:{port}", f"--workers={WORKERS}", "project.wsgi"]
    application = "project.asgi:application"
    return ["uvicorn", f"--port={port}", f"--workers={WORKERS}", "--no-access-log", application]


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
    with process("django", "schedule_geo", niceness=NICENESS):
        # To start a process takes a core for two seconds, and is no part of a flush.
        wait_until(lambda: FlushRun.objects.count() > earlier)
        yield


@contextmanager
def process(module: str, *arguments: str, niceness: int = 0) -> Iterator[None]:
    from tests.support.processes import ROOT, environment

    given = environment(DJANGO_SETTINGS_MODULE="tests.benchmarks.load_settings")
    started = subprocess.Popen(
        ["nice", "-n", str(niceness), sys.executable, "-m", module, *arguments],
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
