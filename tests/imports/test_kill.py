"""A process that is killed with -9 in the middle of an import, again and again."""

import random
import signal
from pathlib import Path
from typing import Any

import pytest

from geocache.imports.models import ImportRun, ListedAddress
from tests import processes
from tests.imports.listing import imported, listed

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

LINES = [f"20.{n >> 8}.{n & 255}.1" for n in range(3_000)]
OLD = [f"19.0.{n >> 8}.{n & 255}" for n in range(300)]
# Imports in batches of 20, and kills itself with the given one: between two statements of it.
KILLED = """
import os, signal, sys
from geocache.imports import apply
from geocache.imports.models import ImportRun
from tests.imports.listing import imported
apply.BATCH_ENTRIES = 20
path, limit, step = sys.stdin.readline().split()
seen = 0
def dying(function, name):
    def called(*args, **options):
        global seen
        if name == step:
            seen += 1
            if seen == int(limit):
                os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)
    return called
apply._locate = dying(apply._locate, "before")
apply._Import._keep = dying(apply._Import._keep, "inside")
write = apply._Import._write
def after(self, batch):
    write(self, batch)
    dying(lambda: None, "after")()
apply._Import._write = after
imported(*open(path).read().split())
"""


def state() -> list[tuple[Any, ...]]:
    return list(ListedAddress.objects.in_order().values_list("entry", "is_listed"))


def test_import__killed_at_ten_random_batches_and_resumed(tmp_path: Path) -> None:
    imported(*OLD, *LINES[:500])
    path = tmp_path / "list.txt"
    path.write_text("\n".join(LINES))
    chance = random.Random(7)
    for _ in range(10):
        process = processes.start_script(KILLED)
        step = chance.choice(["before", "inside", "after"])
        said = process.communicate(f"{path} {chance.randrange(2, 12)} {step}\n", timeout=60)[0]
        assert process.returncode == -signal.SIGKILL, said
    # Nobody waits for the lease: the holder is gone.
    outcome = imported(*LINES)
    assert (outcome.appeared_count, outcome.left_count) == (2_500, 300)
    assert listed() == LINES
    run = ImportRun.objects.get(sha256=outcome.sha256)
    assert (run.state, run.appeared.count(), run.left.count()) == ("completed", 2_500, 300)
    killed = state()
    ListedAddress.objects.all().delete()
    ImportRun.objects.all().delete()
    imported(*OLD, *LINES[:500])
    imported(*LINES)
    assert state() == killed
