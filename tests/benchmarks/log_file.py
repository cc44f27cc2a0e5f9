"""An access log: what does it cost to look all of its addresses up, beside GoAccess with GeoIP?"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import maxminddb

from geocache.addresses import special_reason
from tests.benchmarks.addresses import SEED, database_path
from tests.benchmarks.measure import Answer, Effort, cost, in_turn, timed

LINES = 1_000_000
# As long as it takes.
MOST_ROUNDS = 3
# Lines of which one is the first of a visitor, in ten thousand; a million have about 105,000.
NEW_VISITORS = 1_056
# Visitors who are still there, of whom most lines are; the others come back from any time before.
PRESENT = 2_000
PRESENT_LINES = 0.7
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
AGENTS = [
    f"Mozilla/5.0 ({system}) {WEBKIT} Chrome/{version}.0.0.0 Safari/537.36"
    for system in ("Windows NT 10.0; Win64; x64", "X11; Linux x86_64", "Linux; Android 10; K")
    for version in range(110, 131)
] + [
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7; rv:{version}.0) Gecko/20100101 "
    f"Firefox/{version}.0"
    for version in range(100, 131)
]
STATUSES = ("200", "200", "200", "200", "304", "404")
MONTH_SECONDS = 28 * 86_400


def measure(effort: Effort) -> list[Answer]:
    count = effort.scaled(LINES, 5_000)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "access.log")
        with log.open("w") as file:
            file.writelines(lines(count))
        run = partial(_look_up, log)
        ways = {
            "lookup_geo --count --json --file": lambda: run("--count"),
            "lookup_geo --json --file, an answer a line": run,
        }
        if shutil.which("goaccess"):
            ways["GoAccess with a GeoIP database"] = lambda: _goaccess(log)
        figures = in_turn(ways, min(effort.rounds, MOST_ROUNDS))
    counting, answering, *peers = figures.values()
    bars = [
        bar
        for peer in peers
        for bar in (
            cost("of GoAccess, counts by country", counting, peer, 0.35),
            cost("of GoAccess, an answer a line", answering, peer, 0.35),
        )
    ]
    return [Answer(f"An access log of {count:,} lines", list(figures.values()), bars)]


def lines(count: int) -> Iterator[str]:
    """Give the lines of a log whose visitors come again, some often and most of them soon."""
    chance = random.Random(SEED)
    new = _addresses(chance)
    visitors = [next(new)]
    for number in range(count):
        if chance.randrange(10_000) < NEW_VISITORS:
            visitors.append(address := next(new))
        else:
            first = max(len(visitors) - PRESENT, 0) if chance.random() < PRESENT_LINES else 0
            address = visitors[first + int((len(visitors) - first) * chance.random() ** 2)]
        seconds = number * MONTH_SECONDS // count
        minutes, second = divmod(seconds, 60)
        hours, minute = divmod(minutes, 60)
        day, hour = divmod(hours, 24)
        page = chance.randrange(5_000)
        yield (
            f"{address} - - [{day + 1:02}/Feb/2026:{hour:02}:{minute:02}:{second:02} +0000] "
            f'"GET /shop/{page}?q=a%20{page % 97} HTTP/1.1" {chance.choice(STATUSES)} {page * 7} '
            f'"https://www.example.org/shop/{page % 89}" "{chance.choice(AGENTS)}"\n'
        )


def _addresses(chance: random.Random) -> Iterator[str]:
    """Give addresses whose country both sides read alike, without one they hold for its own."""
    with maxminddb.open_database(database_path()) as reader:
        while True:
            address = IPv4Address(chance.getrandbits(32))
            record: Any = None if special_reason(address) else reader.get(address)
            if record and "country" in record:
                yield str(address)


def _look_up(log: Path, *options: str) -> float:
    """Run the command where nothing is known yet, as a person would."""
    with tempfile.TemporaryDirectory() as folder:
        given = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "GEOCACHE_VAR_DIR": folder,
            "GEOCACHE_DATABASES": str(database_path()),
            "CACHE_KEY_PREFIX": f"{os.environ['CACHE_KEY_PREFIX']}:{Path(folder).name}",
        }
        command = [sys.executable, "-m", "django", "lookup_geo", *options, "--json", "--file", log]
        output = Path(folder, "output")
        with output.open("w") as file:
            seconds = timed(lambda: subprocess.run(command, env=given, check=True, stdout=file))
        if options:
            _check(log, output)
    return seconds


def _goaccess(log: Path) -> float:
    command = ["goaccess", log, "--log-format=COMBINED", "--no-progress", "--no-global-config"]
    command += [f"--geoip-database={database_path()}", "-o", log.with_suffix(".json")]
    return timed(lambda: subprocess.run(command, check=True, capture_output=True))


def _check(log: Path, output: Path) -> None:
    """Hold the counts against those of GoAccess, once it has made any."""
    report = log.with_suffix(".json")
    if not report.exists():
        return
    continents = json.loads(report.read_text())["geolocation"]["data"]
    theirs = Counter(
        {
            country["data"].split()[0]: country["hits"]["count"]
            for continent in continents
            for country in continent["items"]
        }
    )
    countries = json.loads(output.read_text())["countries"]
    ours = Counter({one["country_code"]: one["count"] for one in countries})
    assert ours == theirs, f"the counts differ: {ours - theirs} and {theirs - ours}"
