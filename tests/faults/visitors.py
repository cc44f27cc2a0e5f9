"""Visitors of a site, who ask for new addresses all the time and write down what they are told."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from geocache.location import UNAVAILABLE
from tests.faults.ledger import Ledger, microseconds

PAUSE_SECONDS: Final = 0.05
TIMEOUT_SECONDS: Final = 30
# One in so many requests is for what was answered before, and one in so many for several addresses.
AGAIN, SEVERAL = 5, 10
# Addresses that are kept to be asked for again.
KEPT_COUNT: Final = 1000
# What each release says of an address.
FIELDS: Final = (
    *("address", "resolved_at", "network", "country_code", "region", "city", "postal_code"),
    *("latitude", "longitude", "accuracy_radius_km", "time_zone", "asn", "organization"),
    *("source", "reason"),
)


@dataclass
class Visitors:
    """Threads that ask; what they were told, and what went wrong."""

    port: int
    ledger: Ledger
    seed: int
    thread_count: int = 3
    # Requests by the code that answered them, and by its processes.
    requests: Counter[str] = field(default_factory=Counter)
    processes: Counter[str] = field(default_factory=Counter)
    answer_count: int = 0
    unavailable_count: int = 0
    slowest_seconds: float = 0.0
    errors: list[str] = field(default_factory=list)
    # Asked again, and told something else.
    changed: list[str] = field(default_factory=list)
    _known: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for number in range(self.thread_count):
            source = random.Random(f"{self.seed} {number}")
            thread = threading.Thread(target=self._ask_on, args=(source,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self, source: random.Random) -> None:
        while not self._is_over.wait(source.uniform(0, PAUSE_SECONDS)):
            try:
                self._ask(source)
            except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
                with self._lock:
                    self.errors.append(f"{type(error).__name__}: {error}")

    def _ask(self, source: random.Random) -> None:
        if not source.randrange(SEVERAL):
            addresses = [an_address(source) for _ in range(source.randint(2, 20))]
        elif self._known and not source.randrange(AGAIN):
            with self._lock:
                addresses = [source.choice(list(self._known))]
        else:
            addresses = [an_address(source)]
        began = time.monotonic()
        response, body = self._fetch(addresses)
        seconds = time.monotonic() - began
        if response.status != 200:
            raise ValueError(f"status {response.status}: {body[:200]!r}")
        plain = json.loads(body)
        self._take(plain.get("results", [plain]))
        with self._lock:
            self.requests[response.headers["X-Code"]] += 1
            self.processes[response.headers["X-Process"]] += 1
            self.slowest_seconds = max(self.slowest_seconds, seconds)

    def _fetch(self, addresses: list[str]) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        try:
            if len(addresses) == 1:
                connection.request("GET", f"/api/lookup/{addresses[0]}")
            else:
                body = json.dumps({"addresses": addresses})
                headers = {"Content-Type": "application/json"}
                connection.request("POST", "/api/lookup", body, headers)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def _take(self, answers: list[dict[str, Any]]) -> None:
        given = [one for one in answers if one["reason"] != UNAVAILABLE]
        self.ledger.write(
            (one["address"], microseconds(datetime.fromisoformat(one["resolved_at"])))
            for one in given
        )
        with self._lock:
            self.answer_count += len(given)
            self.unavailable_count += len(answers) - len(given)
            said = [{name: one[name] for name in FIELDS} for one in given]
            self.ledger.tell(said)
            for one in said:
                self._compare(one["address"], tuple(one.values()))

    def _compare(self, address: str, answer: tuple[Any, ...]) -> None:
        if self._known.setdefault(address, answer) != answer:
            self.changed.append(address)
        if len(self._known) > KEPT_COUNT:
            # The oldest, which most of all is in another tier by now, is asked for no longer.
            del self._known[next(iter(self._known))]


def an_address(source: random.Random) -> str:
    """Return one of so many that it was hardly asked for before."""
    if not source.randrange(10):
        return f"2a02:{source.randrange(1, 2**16):x}::{source.randrange(1, 2**16):x}"
    numbers = (source.randrange(20, 100), *(source.randrange(256) for _ in range(3)))
    return ".".join(map(str, numbers))
