"""Real writers and flushers, killed with -9 at random: what was acknowledged is in the table."""

import random
import signal
import time
from pathlib import Path

import pytest

from geocache import journal
from geocache.flush import flush_dirty
from geocache.models import GeoCache, JournalHead
from tests import processes

# An address counts as acknowledged once lookup() has returned and its line is in the ledger.
WRITER = """
import os, random, sys, threading
from geocache.lookup import lookup, lookup_many
ledger = os.open({ledger!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def work():
    while True:
        some = [f"{{random.randrange(20, 100)}}.{{random.randrange(256)}}."
                f"{{random.randrange(256)}}.{{random.randrange(256)}}" for _ in range(20)]
        answered = [lookup(some[0]).address] if random.random() < .8 else lookup_many(some)
        os.write(ledger, "".join(f"{{one}}\\n" for one in answered).encode())
for _ in range(2):
    threading.Thread(target=work).start()
"""
FLUSHER = """
from geocache.exceptions import FlushError
from geocache.flush import flush_dirty
while True:
    try:
        flush_dirty()
    except FlushError as error:
        print(error, flush=True)
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_kill__nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    codes = [WRITER.format(ledger=str(ledger))] * 3 + [FLUSHER] * 2
    running = [(code, processes.start_script(code)) for code in codes]
    kill_count, until = 0, time.monotonic() + 12
    try:
        while time.monotonic() < until or kill_count < 10:
            time.sleep(random.uniform(0.3, 1.0))
            if not ledger.exists():
                continue
            index = random.randrange(len(running))
            code, process = running[index]
            processes.stop(process, signal.SIGKILL)
            kill_count += 1
            running[index] = (code, processes.start_script(code))
    finally:
        for _, process in running:
            processes.stop(process, signal.SIGKILL)

    flush_dirty()

    # The last line of a killed writer may be cut off.
    acknowledged = {line for line in ledger.read_text().split("\n")[:-1] if line.count(".") == 3}
    stored = set(GeoCache.objects.values_list("address", flat=True))
    assert len(acknowledged) > 100
    assert acknowledged - stored == set()
    assert journal.backlog(JournalHead.of("geocache").position).answer_count == 0
