"""A writer process: asks for addresses from several threads, and writes down what it was told."""

import os
import random
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from geocache.cache.backends import Entry
from geocache.exceptions import JournalUnavailable
from geocache.journal import writer
from geocache.location import Location
from geocache.lookup import lookup, lookup_many
from tests.faults import steps
from tests.faults.ledger import Ledger

THREADS = 2
PAUSE_SECONDS = 0.04
# One in so many asks for an address that all writers ask for in this second.
COMMON = 5


def write_on(folder: Path) -> None:
    """Ask until this process is killed."""
    ledger = Ledger(folder)
    threads = [threading.Thread(target=_ask_on, args=(ledger,)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def write_on_in_two(folder: Path) -> None:
    """Use everything once, fork, and go on in both processes."""
    ledger = Ledger(folder)
    for _ in range(3):
        _ask(ledger)
    # A child does not inherit it.
    seconds = signal.alarm(0)
    is_child = not os.fork()
    signal.alarm(seconds)
    if is_child:
        (folder / f"forked-{os.getpid()}").touch()
        random.seed(f"{random.random()} forked")
    write_on(folder)


def write_and_die(folder: Path) -> None:
    """Ask on, pause at one step and kill this process at another."""
    pause, kill = random.choices(list(steps.WRITER_STEPS), k=2)
    steps.pause_at(pause, random.randint(2, 20), seconds=3)
    steps.kill_at(kill, random.randint(1, 20), folder)
    write_on(folder)


def write_through(folder: Path) -> None:
    """Ask on, now and then as if the journal could not be used: into the table, then."""
    original = writer.append

    def append(locations: Sequence[Location], entry: Entry | None = None) -> bool:
        if random.random() < 0.3:
            raise JournalUnavailable("as if the cache were away")
        return original(locations, entry)

    writer.append = append
    write_on(folder)


def _ask_on(ledger: Ledger) -> None:
    while True:
        _ask(ledger)
        time.sleep(random.uniform(0, PAUSE_SECONDS))


def _ask(ledger: Ledger) -> None:
    kind = random.random()
    if kind < 0.6:
        ledger.acknowledge([lookup(_an_address())])
        return
    # Now and then more than one record holds.
    many = random.randint(2, 20) if kind < 0.99 else 450
    ledger.acknowledge(lookup_many([_an_address() for _ in range(many)]).values())


def _an_address() -> str:
    source = random
    if not random.randrange(COMMON):
        source = random.Random(f"{int(time.time())} {random.randrange(10)}")
    if not source.randrange(10):
        return f"2a02:{source.randrange(1, 2**16):x}::{source.randrange(1, 2**16):x}"
    numbers = (source.randrange(20, 100), *(source.randrange(256) for _ in range(3)))
    return ".".join(map(str, numbers))
