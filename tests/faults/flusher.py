"""Flusher processes, and the real scheduler."""

import random
import time
from contextlib import nullcontext
from pathlib import Path

from django.core.management import call_command

from geocache.exceptions import FlushError
from geocache.journal import reader
from geocache.journal.flush import flush_dirty
from geocache.scheduler import process
from tests.faults import steps


def flush_on() -> None:
    """Flush until this process is killed."""
    while True:
        try:
            flush_dirty()
        except FlushError as error:
            print(f"FlushError: {error}", flush=True)
        time.sleep(random.uniform(0, 0.3))


def flush_and_die(folder: Path) -> None:
    """Flush on until this process kills itself at a step."""
    steps.kill_at(random.choice(list(steps.FLUSHER_STEPS)), random.randint(1, 8), folder)
    flush_on()


def flush_at_once(folder: Path) -> None:
    """Do it without the lock, which only saves work: as if others had waited for too long."""
    reader.lock = nullcontext
    flush_and_die(folder)


def flush_and_pause() -> None:
    """Flush on without the lock, and pause at a step while the others overtake."""
    reader.lock = nullcontext
    steps.pause_at(random.choice(list(steps.FLUSHER_STEPS)), random.randint(1, 10), seconds=3)
    flush_on()


def flush_wrongly(folder: Path) -> None:
    """Delete records before they are committed, and die in between, each time."""
    reader.lock = nullcontext
    steps.delete_before_commit()
    steps.kill_at("upserted", 1, folder)
    flush_on()


def schedule_on() -> None:
    """Run ``manage.py schedule_geo``; one that stands by takes over sooner than usual."""
    process.LEASE_SECONDS, process.RENEW_SECONDS = 3, 0.5
    call_command("schedule_geo")
