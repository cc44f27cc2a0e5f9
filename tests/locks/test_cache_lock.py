import os
import signal
import time
from pathlib import Path

import pytest
from django.core.cache.backends.locmem import LocMemCache

from geocache.cache import backends
from geocache.locks.cache_lock import CacheLock
from project import environment
from tests.support.processes import start_script, stop

pytestmark = pytest.mark.any_services


@pytest.fixture(params=["embedded", "redis"], autouse=True)
def cache(request, settings, monkeypatch):
    """Use this cache here and in the processes that are started."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""
    monkeypatch.setenv("CACHE_URL", url)
    monkeypatch.setenv("CACHE_KEY_PREFIX", settings.CACHES["geocache"]["KEY_PREFIX"])
    folder = Path(os.environ["GEOCACHE_VAR_DIR"])
    settings.CACHES = {**settings.CACHES, "geocache": environment.geocache_cache(folder)}


def test_acquire__is_for_one_holder():
    one, two = CacheLock(60), CacheLock(60)
    assert one.acquire(backends.current(), "locked")
    assert not two.acquire(backends.current(), "locked")
    one.release(backends.current(), ["locked"])
    assert two.acquire(backends.current(), "locked")


def test_acquire_many__gives_those_that_no_other_holds():
    one, two = CacheLock(60), CacheLock(60)
    assert one.acquire(backends.current(), "b")
    assert two.acquire_many(backends.current(), ["a", "b", "c"]) == {"a", "c"}
    assert two.acquire_many(backends.current(), []) == set()
    two.release(backends.current(), ["a", "b", "c"])
    assert one.acquire_many(backends.current(), ["a", "b"]) == {"a"}
    other = LocMemCache("acquire_many", {})
    other.clear()
    assert one.acquire(other, "b")
    assert two.acquire_many(other, ["a", "b"]) == {"a"}


def test_acquire_many__is_for_a_limited_time():
    assert CacheLock(1).acquire_many(backends.current(), ["locked"]) == {"locked"}
    time.sleep(1.2)
    assert CacheLock(60).acquire(backends.current(), "locked")


def test_acquire__waits_for_a_limited_time():
    CacheLock(1).acquire(backends.current(), "locked")
    assert not CacheLock(60).acquire(backends.current(), "locked", wait_seconds=0.05)


@pytest.mark.parametrize(("asked", "seconds"), [(0.2, 1), (2, 2), (2.1, 3), (60.0, 60)])
def test_cache_lock__lives_at_least_as_long_as_asked_for(asked, seconds):
    assert CacheLock(asked).seconds == seconds


def test_release__leaves_what_another_holds():
    late, other = CacheLock(60), CacheLock(60)
    assert late.acquire(backends.current(), "locked")
    backends.current().delete("locked")
    assert other.acquire(backends.current(), "locked")
    late.release(backends.current(), ["locked"])
    assert not CacheLock(60).acquire(backends.current(), "locked")


def test_release__leaves_what_another_has_locked_meanwhile(monkeypatch):
    """The lock of the late one runs out while it looks whether it still has it.

    Where that is one step, there is no time for it.
    """
    late, other = CacheLock(60), CacheLock(60)
    backend = backends.current()
    assert late.acquire(backend, "locked")
    get_many, acquired = backend.get_many, []

    def slow(names):
        found = get_many(names)
        backend.delete("locked")
        acquired.append(other.acquire(backend, "locked"))
        return found

    monkeypatch.setattr(backend, "get_many", slow)
    late.release(backend, ["locked"])
    assert backend.get("locked") == (other.token if acquired else None)


def test_release__of_several_names_leaves_those_of_others():
    one, two = CacheLock(60), CacheLock(60)
    assert one.acquire(backends.current(), "a")
    assert two.acquire(backends.current(), "b")
    one.release(backends.current(), ["a", "b", "never"])
    assert one.acquire(backends.current(), "a")
    assert not one.acquire(backends.current(), "b")


def test_release__on_any_other_cache_leaves_what_another_holds(request):
    late, other = CacheLock(60), CacheLock(60)
    backend = LocMemCache(request.node.name, {})
    assert late.acquire(backend, "late")
    assert other.acquire(backend, "other")
    late.release(backend, ["late", "other"])
    assert (backend.get("late"), backend.get("other")) == (None, other.token)


def test_release__of_no_name_and_of_one_that_is_gone():
    lock = CacheLock(60)
    lock.release(backends.current(), [])
    lock.release(backends.current(), ["never"])


# --- real processes ------------------------------------------------------------------------------

HOLDING = """
import sys, time
from geocache.cache import backends
from geocache.locks.cache_lock import CacheLock
lock = CacheLock({seconds})
assert lock.acquire(backends.current(), "locked", wait_seconds=30)
print("locked", flush=True)
sys.stdin.readline()
lock.release(backends.current(), ["locked"])
print("released", flush=True)
sys.stdin.readline()
"""

CONTENDING = """
import os, random, sys, time
from geocache.cache import backends
from geocache.locks.cache_lock import CacheLock
log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
lock = CacheLock(60)
print("ready", flush=True)
sys.stdin.readline()
done = 0
until = time.monotonic() + 3
while time.monotonic() < until:
    if lock.acquire(backends.current(), "locked"):
        # A single write in append mode keeps the lines of several processes apart.
        os.write(log, b"+%d\\n" % os.getpid())
        time.sleep(random.random() / 500)
        os.write(log, b"-%d\\n" % os.getpid())
        lock.release(backends.current(), ["locked"])
        done += 1
    time.sleep(random.random() / 1000)
print(done, flush=True)
"""


def tell(process):
    process.stdin.write("go on\n")
    process.stdin.flush()


def expect(process, line):
    assert process.stdout.readline() == f"{line}\n"


@pytest.mark.slow
@pytest.mark.django_db
def test_cache_lock__of_processes_that_want_it_one_has_it_at_a_time(tmp_path):
    log = tmp_path / "log"
    crew = [start_script(CONTENDING.format(log=str(log))) for _ in range(4)]
    for process in crew:
        expect(process, "ready")
    for process in crew:
        tell(process)
    counts = [int(process.communicate(timeout=60)[0]) for process in crew]
    lines = log.read_text().splitlines()
    assert len(lines) == 2 * sum(counts)
    for entered, left in zip(lines[::2], lines[1::2], strict=True):
        assert (entered[0], left) == ("+", f"-{entered[1:]}")
    assert all(counts)


@pytest.mark.slow
@pytest.mark.django_db
def test_cache_lock__of_a_killed_holder_runs_out_and_not_before():
    holder = start_script(HOLDING.format(seconds=3))
    expect(holder, "locked")
    locked_at = time.monotonic()
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=60)
    assert not CacheLock(60).acquire(backends.current(), "locked")
    assert CacheLock(60).acquire(backends.current(), "locked", wait_seconds=30)
    assert 2 < time.monotonic() - locked_at < 10


@pytest.mark.slow
@pytest.mark.django_db
def test_cache_lock__a_holder_that_was_stopped_releases_nothing_of_the_next():
    late = start_script(HOLDING.format(seconds=1))
    expect(late, "locked")
    late.send_signal(signal.SIGSTOP)
    after_it = CacheLock(60)
    assert after_it.acquire(backends.current(), "locked", wait_seconds=30)
    late.send_signal(signal.SIGCONT)
    tell(late)
    expect(late, "released")
    assert backends.current().get("locked") == after_it.token
    stop(late)
