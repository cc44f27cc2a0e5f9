"""Which answers were acknowledged: a file for each process, that outlives it."""

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from geocache.location import EPOCH, UNAVAILABLE, Location

# An address, and when it was resolved, in microseconds.
Entry = tuple[str, int]


class Ledger:
    """The file of this process; what was written before a SIGKILL stays."""

    def __init__(self, folder: Path) -> None:
        path = folder / f"ledger-{os.getpid()}-{time.time_ns()}"
        self._told = folder / f"told-{os.getpid()}-{time.time_ns()}"
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)

    def acknowledge(self, answers: Iterable[Location]) -> None:
        """Write down answers that a caller has received, each line whole."""
        self.write(
            (one.address, microseconds(one.resolved_at))
            for one in answers
            if one.reason != UNAVAILABLE
        )

    def write(self, entries: Iterable[Entry]) -> None:
        lines = (f"{address} {resolved_at}\n" for address, resolved_at in entries)
        os.write(self._file, "".join(lines).encode())

    def tell(self, answers: Iterable[Mapping[str, Any]]) -> None:
        """Write down answers as they were told, to compare them with the table."""
        with self._told.open("a") as file:
            file.writelines(f"{json.dumps(answer)}\n" for answer in answers)


def told(folder: Path, size: int = 500) -> Iterator[dict[str, dict[str, Any]]]:
    """Read what was told, by address, ``size`` at a time."""
    for path in sorted(folder.glob("told-*")):
        with path.open() as file:
            while lines := list(islice(file, size)):
                yield {answer["address"]: answer for answer in map(json.loads, lines)}


def microseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def chunks(folder: Path, size: int = 1000) -> Iterator[list[Entry]]:
    """Read all ledgers, ``size`` entries at a time, so that memory stays flat."""
    entries = _entries(folder)
    while chunk := list(islice(entries, size)):
        yield chunk


def _entries(folder: Path) -> Iterator[Entry]:
    for path in sorted(folder.glob("ledger-*")):
        with path.open() as file:
            for line in file:
                # The last line of a killed writer may be cut off; then nobody was told.
                if line.endswith("\n"):
                    address, resolved_at = line.split()
                    yield address, int(resolved_at)
