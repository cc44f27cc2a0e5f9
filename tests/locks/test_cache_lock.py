from geocache.cache import backends
from geocache.locks.cache_lock import CacheLock


def test_acquire__is_for_one_holder():
    one, two = CacheLock(60), CacheLock(60)
    assert one.acquire(backends.current(), "locked")
    assert not two.acquire(backends.current(), "locked")
    one.release(backends.current(), ["locked"])
    assert two.acquire(backends.current(), "locked")


def test_acquire__waits_for_a_limited_time():
    CacheLock(1).acquire(backends.current(), "locked")
    assert not CacheLock(60).acquire(backends.current(), "locked", wait_seconds=0.05)


def test_release__leaves_what_another_holds():
    late, other = CacheLock(60), CacheLock(60)
    assert late.acquire(backends.current(), "locked")
    backends.current().delete("locked")
    assert other.acquire(backends.current(), "locked")
    late.release(backends.current(), ["locked"])
    assert not CacheLock(60).acquire(backends.current(), "locked")


def test_release__of_several_names_leaves_those_of_others():
    one, two = CacheLock(60), CacheLock(60)
    assert one.acquire(backends.current(), "a")
    assert two.acquire(backends.current(), "b")
    one.release(backends.current(), ["a", "b", "never"])
    assert one.acquire(backends.current(), "a")
    assert not one.acquire(backends.current(), "b")
