"""Processes that fork, stop, are cancelled, or whose clock is set: nothing is lost."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from geocache.cache import backends
from geocache.journal import reader, segments
from geocache.journal import writer as journal_writer
from geocache.journal.flush import flush_dirty
from geocache.lookup import alookup, lookup
from geocache.models import GeoCache
from tests.factories import NOON, a_location, many_locations, use_dummy_provider
from tests.support import processes
from tests.support.redis_server import a_redis_server, free_port

pytestmark = [pytest.mark.cache_decides, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

HOUR = 3600 * 10**9
PROVIDER = """
from django.conf import settings
settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": {
    "BACKEND": "geocache.providers.dummy.DummyProvider", "OPTIONS": {}}}
"""


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def is_stopped(process: subprocess.Popen[str]) -> bool:
    status = Path(f"/proc/{process.pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"


def finish(process: subprocess.Popen[str]) -> str:
    try:
        output = process.communicate(timeout=60)[0]
    finally:
        process.kill()
    assert process.returncode == 0, output
    return output


# --- stopped and continued ---------------------------------------------------------------------


STOPPED_FLUSHER = """
import os, signal
from geocache.journal import reader
from geocache.journal.flush import flush_dirty
original, stops = reader.{step}, iter([True])
def stopped(*args):
    result = original(*args) if {is_after} else None
    if next(stops, False):
        os.kill(os.getpid(), signal.SIGSTOP)
    return result if {is_after} else original(*args)
reader.{step} = stopped
flush_dirty(time_limit_seconds=1)
"""


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("step", ["last_ticket", "close_some", "forget", "publish"])
def test_flusher__stopped_for_longer_than_its_lock_and_continued(step: str, is_after: bool) -> None:
    given = many_locations(150)
    for location in given:
        journal_writer.append([location])
    code = STOPPED_FLUSHER.format(step=step, is_after=is_after)
    flusher = processes.start_script(code)
    try:
        processes.wait_until(lambda: is_stopped(flusher), seconds=60)
        time.sleep(1.1)
        flush_dirty()
        newer = a_location(given[0].address, city="Newer", resolved_at=NOON + timedelta(hours=1))
        journal_writer.append([newer, a_location("30.0.0.1")])
        flush_dirty()
        journal_writer.append([a_location("30.0.0.2")])
        flusher.send_signal(signal.SIGCONT)
        finish(flusher)
    finally:
        flusher.kill()
    flush_dirty()

    assert stored() == {"30.0.0.1", "30.0.0.2", *(location.address for location in given)}
    assert GeoCache.objects.get(address=given[0].address).city == "Newer"


SUSPENDED_WRITER = """
import os, signal, time
from geocache.cache import backends
from geocache.journal import writer
from tests.factories import a_location
writer.SEGMENT_SECONDS = 0.5
writer.append([a_location("20.0.0.1")])
owner, name, entry = {hooked}
real_add = getattr(owner, name)
def suspended_add(*args, **kwargs):
    setattr(owner, name, real_add)
    {before}
    added = real_add(*args, **kwargs)
    {after}
    return added
if {is_within_add}:
    setattr(owner, name, suspended_add)
else:
    os.kill(os.getpid(), signal.SIGSTOP)
writer.append([a_location("20.0.0.2")], entry)
writer.append([a_location("20.0.0.3")])
"""
STOP = "os.kill(os.getpid(), signal.SIGSTOP)"
ALONE = 'backends, "append", None'
WITH_ITS_ENTRY = 'backends, "append", backends.Entry("e:1:20.0.0.2", "an answer", 60)'


@pytest.mark.parametrize(
    ("before", "after", "is_within_add"),
    [("pass", "pass", False), (STOP, "pass", True), ("pass", STOP, True)],
    ids=["between", "before_the_add", "after_the_add"],
)
@pytest.mark.parametrize("hooked", [ALONE, WITH_ITS_ENTRY], ids=["alone", "with_its_entry"])
def test_writer__suspended_for_longer_than_a_segments_age(
    before: str, after: str, is_within_add: bool, hooked: str
) -> None:
    code = SUSPENDED_WRITER.format(
        before=before, after=after, is_within_add=is_within_add, hooked=hooked
    )
    writer = processes.start_script(code)
    try:
        processes.wait_until(lambda: is_stopped(writer), seconds=60)
        flush_dirty()
        # The seals run out while the writer is suspended.
        last = reader.last_ticket()
        for number in range(segments.base_of(last), last + 1):
            backends.current().delete_many(segments.record_keys(number))
        time.sleep(0.6)
        writer.send_signal(signal.SIGCONT)
        finish(writer)
    finally:
        writer.kill()
    flush_dirty()

    assert stored() == {"20.0.0.1", "20.0.0.2", "20.0.0.3"}


# --- forks, threads, tasks ---------------------------------------------------------------------


FORKING = (
    PROVIDER
    + """
import os, sys, threading
from geocache.lookup import lookup
def work(family):
    for number in range(40):
        os.write(1, f"{lookup(f'20.{family}.0.{number}').address}\\n".encode())
work(0)
threads = [threading.Thread(target=work, args=(family,)) for family in range(1, 1 + THREADS)]
for thread in threads:
    thread.start()
children = []
for family in (3, 4, 5):
    child = os.fork()
    if not child:
        work(family)
        os._exit(0)
    children.append(child)
work(6)
for thread in threads:
    thread.join()
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""
)


def test_fork__after_first_use_loses_nothing() -> None:
    output = finish(processes.start_script("THREADS = 0" + FORKING))

    assert_stored(output, count=5 * 40)


def test_fork__with_threads_at_work_loses_nothing_on_redis(tmp_path: Path, settings: Any) -> None:
    # Not on the embedded cache: SQLite may be in one of the threads when the process is forked.
    with a_redis_server(tmp_path, settings) as server:
        output = finish(processes.start_script("THREADS = 2" + FORKING, CACHE_URL=server.url))

        assert_stored(output, count=7 * 40)


PRELOADED = """
import django; django.setup()
from geocache.lookup import lookup
lookup("20.0.0.0")
def application(environ, start_response):
    answer = lookup(environ["PATH_INFO"].strip("/"))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.address.encode()]
"""


def test_fork__by_gunicorn_that_preloads_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "preloaded.py").write_text(PRELOADED)
    bind = f"127.0.0.1:{free_port()}"
    options = ["--preload", "--workers=3", "--threads=4", f"--pythonpath={tmp_path}"]
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, f"--bind={bind}", "preloaded:application"],
        cwd=processes.ROOT,
        env=processes.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def ask(address: str) -> str:
        with urlopen(f"http://{bind}/{address}", timeout=10) as response:
            return str(response.read().decode())

    try:
        processes.wait_until(lambda: is_answered(ask))
        with ThreadPoolExecutor(8) as pool:
            answered = set(pool.map(ask, (f"20.0.1.{number}" for number in range(120))))
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    flush_dirty()

    assert len(answered) == 120
    assert answered <= stored()


def is_answered(ask: Callable[[str], str]) -> bool:
    try:
        return bool(ask("20.0.0.1"))
    except URLError:
        return False


def assert_stored(output: str, *, count: int) -> None:
    flush_dirty()
    answered = {line for line in output.splitlines() if line.startswith("20.")}
    assert len(answered) == count
    assert stored() == answered


def test_threads__eight_lookups_beside_flushes_lose_nothing(settings: Any) -> None:
    use_dummy_provider(settings)

    def work(family: int) -> list[str]:
        return [lookup(f"20.{family}.{n >> 8}.{n & 255}").address for n in range(300)]

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(work, family) for family in range(8)]
        while not all(one.done() for one in running):
            flush_dirty()
        answered = {address for one in running for address in one.result()}
    flush_dirty()

    assert len(answered) == 2400
    assert stored() == answered


def test_asyncio__cancelled_tasks_lose_nothing_and_harm_no_other(settings: Any) -> None:
    use_dummy_provider(settings)

    async def main() -> list[str]:
        tasks = [asyncio.create_task(alookup(f"20.0.{n >> 8}.{n & 255}")) for n in range(400)]
        for task in random.Random(1).sample(tasks, 200):
            await asyncio.sleep(0.001)
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        answered = [one.address for one in ended if not isinstance(one, BaseException)]
        answered.append((await alookup("30.0.0.1")).address)
        return answered

    answered = asyncio.run(main())
    flush_dirty()

    assert 200 < len(answered) < 401
    assert set(answered) <= stored()


# --- the clock ---------------------------------------------------------------------------------


@pytest.mark.parametrize("is_counter_lost", [False, True])
@pytest.mark.parametrize("hours", [(0, -1, 1), (1, -1, 0), (-1, 1, -1)])
def test_clock__set_back_and_forward_an_hour(
    monkeypatch: pytest.MonkeyPatch, hours: tuple[int, ...], is_counter_lost: bool
) -> None:
    flush_dirty()
    real = time.time_ns
    for family, hour in enumerate(hours):
        monkeypatch.setattr(segments.time, "time_ns", lambda hour=hour: real() + hour * HOUR)
        if is_counter_lost:
            backends.current().delete(segments.key(segments.Name.TICKET))
        for number in range(70):
            journal_writer.append([a_location(f"20.{family}.0.{number}")])
        # The next process goes on, with the clock as it is then.
        journal_writer.process_writer.reset()
        flush_dirty()

    assert stored() == {f"20.{family}.0.{n}" for family in range(3) for n in range(70)}


@pytest.mark.parametrize("hour", [-1, 1])
def test_clock__of_a_live_writer_is_set_and_the_counter_lost(
    monkeypatch: pytest.MonkeyPatch, hour: int
) -> None:
    journal_writer.append([a_location("20.0.0.1")])
    flush_dirty()
    journal_writer.append([a_location("20.0.0.2")])
    real = time.time_ns
    monkeypatch.setattr(segments.time, "time_ns", lambda: real() + hour * HOUR)
    for number in range(3, 6):
        backends.current().delete(segments.key(segments.Name.TICKET))
        journal_writer.process_writer.open_segments.clear()
        journal_writer.append([a_location(f"20.0.0.{number}")])

    flush_dirty()

    assert stored() == {f"20.0.0.{number}" for number in range(1, 6)}


def test_fork__forty_children_that_each_append_once_and_die_lose_nothing() -> None:
    code = """
import os
from geocache.journal import writer
from tests.factories import a_location
writer.append([a_location("30.0.0.1")])
for number in range(40):
    child = os.fork()
    if not child:
        writer.append([a_location(f"20.0.0.{number}")])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
    finish(processes.start_script(code))

    flush_dirty()

    assert stored() == {"30.0.0.1", *(f"20.0.0.{number}" for number in range(40))}
