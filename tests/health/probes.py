"""A process that asks itself for /health/ready: ``python -m tests.health.probes``.

Asks as often as each line of standard input says, ten at a time, and prints a line of JSON. It is
not a test run, so that parts are read in threads, as in production.
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django


def main() -> None:
    django.setup()
    from django.test import Client  # noqa: PLC0415 - only now

    # As behind a proxy, with HTTPS.
    client = Client(HTTP_HOST="localhost", raise_request_exception=False)
    client.get("/health/live", secure=True)

    def ask(_: int) -> tuple[float, Any]:
        started = time.perf_counter()
        response = client.get("/health/ready", secure=True)
        return time.perf_counter() - started, response

    pool = ThreadPoolExecutor(10)
    for line in sys.stdin:
        times, responses = zip(*pool.map(ask, range(int(line))), strict=True)
        response = responses[-1]
        threads = [one for one in threading.enumerate() if one.name == "geocache-health"]
        said = {
            "code": response.status_code,
            "parts": {name: one["level"] for name, one in response.json()["parts"].items()},
            "best_ms": round(min(times) * 1000),
            "worst_ms": round(max(times) * 1000),
            "threads": len(threads),
        }
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
