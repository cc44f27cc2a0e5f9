"""One process of a group: many writers, each with a segment of its own as a web process has."""

import json
import resource
import sys
import time
from datetime import UTC, datetime
from ipaddress import IPv4Address

from geocache.exceptions import JournalUnavailable
from geocache.journal.writer import Writer
from geocache.location import Location, dump_locations
from geocache.lookup import hot_entries

# Where the addresses of the first process begin, and those that each has for itself.
FIRST_ADDRESS = int(IPv4Address("20.0.0.0"))
ADDRESSES_PER_PROCESS = 2**24


def main() -> None:
    """Record new answers for so many seconds; print what was recorded, as JSON."""
    place, writer_count, seconds, rate = (
        int(sys.argv[1]),
        int(sys.argv[2]),
        *map(float, sys.argv[3:5]),
    )
    writers = [Writer() for _ in range(writer_count)]
    started, taken, refused = time.monotonic(), 0, 0
    first = FIRST_ADDRESS + place * ADDRESSES_PER_PROCESS
    while (passed := time.monotonic() - started) < seconds:
        if rate and taken + refused > rate * passed:
            time.sleep(0.001)
            continue
        number = taken + refused
        answer = an_answer(str(IPv4Address(first + number)))
        entry = hot_entries.entry("scale", answer)
        try:
            # In turn: each writes seldom, as a process of a site with many does.
            writers[number % writer_count].append(dump_locations([answer]), entry, answer_count=1)
            taken += 1
        except JournalUnavailable as error:
            refused += 1
            print(error, file=sys.stderr)
    used = resource.getrusage(resource.RUSAGE_SELF)
    report = {
        "taken": taken,
        "refused": refused,
        "seconds": time.monotonic() - started,
        "cpu_seconds": used.ru_utime + used.ru_stime,
    }
    print(json.dumps(report))


def an_answer(address: str) -> Location:
    """Return an answer as long as one of a database of cities."""
    return Location(
        address=address,
        resolved_at=datetime.now(UTC),
        network=f"{address}/32",
        country_code="GB",
        region="England",
        city="London",
        latitude=51.5,
        longitude=-0.1,
        accuracy_radius_km=10,
        time_zone="Europe/London",
        asn=64500,
        organization="Test Networks Ltd",
        source="GeoLite2-City",
    )
