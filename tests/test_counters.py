import os
import sys
import threading
from collections.abc import Iterator

import pytest

from geocache import counters

pytestmark = [pytest.mark.any_django, pytest.mark.any_services]
ONE = ("one",)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    counters.reset()
    yield
    counters.reset()


def in_thread(work: object) -> None:
    thread = threading.Thread(target=work)  # type: ignore[arg-type]  # any callable
    thread.start()
    thread.join()


def test_count__adds_up_and_is_never_taken_away() -> None:
    counters.count(ONE)
    counters.count(ONE, 4)
    assert counters.totals() == counters.totals() == {ONE: 5}


def test_count__of_threads_that_run_at_once_none_is_lost() -> None:
    each, begun = 20_000, threading.Barrier(5)
    before = sys.getswitchinterval()

    def work() -> None:
        begun.wait()
        for _ in range(each):
            counters.count(ONE)

    threads = [threading.Thread(target=work) for _ in range(4)]
    sys.setswitchinterval(1e-6)
    try:
        for one in threads:
            one.start()
        begun.wait()
        seen = [counters.totals().get(ONE, 0) for _ in range(50)]
        for one in threads:
            one.join()
    finally:
        sys.setswitchinterval(before)
    assert seen == sorted(seen)
    assert counters.totals() == {ONE: 4 * each}


def test_count__what_ended_threads_have_counted_stays() -> None:
    for _ in range(3):
        in_thread(lambda: counters.count(ONE, 2))
    assert counters.totals() == {ONE: 6}
    in_thread(lambda: counters.count(ONE))
    assert counters.totals() == {ONE: 7}


def test_totals__keeps_no_figures_of_ended_threads_apart() -> None:
    counters.count(ONE)
    counters.totals()
    before = counters.thread_count()
    for _ in range(50):
        in_thread(lambda: counters.count(ONE))
    counters.totals()
    assert counters.thread_count() == before


def test_observe__a_duration_is_in_the_bucket_of_its_upper_bound() -> None:
    for seconds in (0.0, 0.0001, 0.00011, 0.3, 99.0):
        counters.observe("calls", "a", seconds)
    found = counters.totals()
    assert found.pop(("calls", "a", counters.MICROSECONDS)) == 99_300_210
    assert found == {
        ("calls", "a", counters.BUCKET, bucket): number
        for bucket, number in (("0", 2), ("1", 1), ("6", 1), (str(len(counters.BUCKETS)), 1))
    }


def test_mark__the_newest_value_counts() -> None:
    counters.mark(ONE, 5)
    counters.mark(ONE, 3)
    assert counters.marks() == {ONE: 3}
    assert counters.totals() == {}


def test_tiers__have_a_series_each() -> None:
    assert counters.HOT_ENTRY == ("lookups", "hot_entry")
    assert counters.SPECIAL == ("lookups", "special")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_count__a_forked_child_begins_with_none() -> None:
    counters.count(ONE)
    in_thread(lambda: counters.count(ONE))
    counters.totals()
    child = os.fork()
    if not child:
        is_empty = counters.totals() == {}
        counters.count(ONE)
        os._exit(0 if is_empty and counters.totals() == {ONE: 1} else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert counters.totals() == {ONE: 2}
