"""Ask a site what its operators and visitors ask, again and again, and keep what it said."""

import http.client
import itertools
import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

TOKEN: Final = "of-the-monitoring"
PAUSE_SECONDS: Final = 0.1
TIMEOUT_SECONDS: Final = 30
LIVE, READY, METRICS, LOOKUP = "/health/live", "/health/ready", "/metrics", "/api/lookup/"
MONITORING: Final = {"Authorization": f"Bearer {TOKEN}"}
SAMPLE = re.compile(r"^(?P<name>geocache_\w+(?:\{[^}]*\})?) (?P<value>\S+)", re.MULTILINE)
# What tells of the state of a part; counters of work change all the time.
STATES = re.compile(
    r"_up\b|_alive|circuit|breaker|available|_failed|failures|unrecorded|backlog|pending"
)
OK: Final = "ok"

# New ones all the time.
_numbers = itertools.count()


@dataclass(frozen=True)
class Reply:
    """What came back, and after how many milliseconds; the status is 0 where nothing came."""

    status: int
    body: str
    milliseconds: float
    process: str = ""

    def json(self) -> dict[str, Any]:
        try:
            plain = json.loads(self.body)
        except ValueError:
            return {}
        return plain if isinstance(plain, dict) else {}


def ask(
    port: int, path: str, headers: dict[str, str] | None = None, *, seconds: float = TIMEOUT_SECONDS
) -> Reply:
    """Ask once; never raises."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        status, process = response.status, response.headers.get("X-Process", "")
    except (OSError, http.client.HTTPException) as error:
        status, process, body = 0, "", f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return Reply(status, body, (time.perf_counter() - began) * 1000, process)


def look_up(port: int, first: int = 81) -> Reply:
    """Look up an address that was not asked for before."""
    number = next(_numbers)
    address = f"{first}.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}"
    return ask(port, LOOKUP + address)


def result_of(reply: Reply) -> str:
    """Return what a visitor is told, in a word or two."""
    if reply.status != 200:
        return f"status {reply.status}"
    plain = reply.json()
    return "found" if plain.get("found") else str(plain.get("reason"))


def bad_parts(reply: Reply) -> dict[str, str]:
    """Return the parts that are not well, and how each is."""
    parts = reply.json().get("parts", {})
    levels = {name: str(part.get("level", part.get("state"))) for name, part in parts.items()}
    return {name: level for name, level in levels.items() if level != OK}


def texts(reply: Reply) -> dict[str, str]:
    """Return one of the texts about each part that is not well."""
    return {one["part"]: one["text"] for one in reply.json().get("findings", ())}


def samples(reply: Reply) -> dict[str, str]:
    """Return the metrics that tell of a state, by name and labels."""
    found = {match["name"]: match["value"] for match in SAMPLE.finditer(reply.body)}
    return {name: value for name, value in found.items() if STATES.search(name.partition("{")[0])}


def has(port: int, path: str) -> bool:
    """Tell whether a site has this address."""
    return ask(port, path, MONITORING).status != 404


@dataclass
class Seen:
    """All that one address said during a while."""

    statuses: Counter[int] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    last: Reply | None = None

    def add(self, reply: Reply) -> None:
        self.statuses[reply.status] += 1
        self.milliseconds.append(reply.milliseconds)
        self.last = reply

    def figures(self) -> dict[str, Any]:
        times = sorted(self.milliseconds)
        return {
            "statuses": dict(self.statuses),
            "count": len(times),
            "median_ms": round(times[len(times) // 2], 1) if times else None,
            "max_ms": round(times[-1], 1) if times else None,
        }


class Watch:
    """Threads that ask each address of a site all the time."""

    def __init__(self, port: int, paths: list[str], first: int) -> None:
        self.port = port
        self.first = first
        self.seen = {path: Seen() for path in paths}
        # In how many replies a part was how bad, and what was said of it last.
        self.bad: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Watch":
        for path in self.seen:
            thread = threading.Thread(target=self._ask_on, args=(path,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self, path: str) -> None:
        seen = self.seen[path]
        while not self._is_over.wait(PAUSE_SECONDS):
            if path == LOOKUP:
                reply = look_up(self.port, self.first)
                seen.results[result_of(reply)] += 1
            else:
                reply = ask(self.port, path, MONITORING)
            seen.add(reply)
            if path == READY:
                self.bad.update(f"{name} {level}" for name, level in bad_parts(reply).items())
                self.texts |= texts(reply)
