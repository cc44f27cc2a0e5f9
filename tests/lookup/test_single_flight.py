import time
from ipaddress import ip_address

import pytest

from geocache.cache import backends
from geocache.log_throttle import LogThrottle
from geocache.lookup import hot_entries, single_flight
from geocache.lookup.single_flight import SingleFlight
from tests.factories import LONDON, MOSCOW_V6, a_location

NEIGHBOUR = "81.2.69.7"


def public(*addresses):
    return {text: ip_address(text) for text in addresses}


def soon():
    return time.monotonic() + 0.05


def test_acquire__a_block_belongs_to_one_until_it_is_released():
    flight = SingleFlight("b")
    first = flight.acquire(public(LONDON, MOSCOW_V6))
    assert list(first) == [LONDON, MOSCOW_V6]
    assert list(SingleFlight("b").acquire(public(LONDON, "9.9.9.9"))) == ["9.9.9.9"]
    flight.release(first)
    assert list(SingleFlight("b").acquire(public(LONDON))) == [LONDON]


@pytest.mark.parametrize(
    ("other", "is_held"),
    [
        (NEIGHBOUR, True),
        ("81.2.70.1", False),
        ("2a02:6b8:0:ffff::1", True),
        ("2a02:6b8:1::1", False),
    ],
)
def test_acquire__neighbours_are_in_the_same_block(other, is_held):
    SingleFlight("b").acquire(public(LONDON, MOSCOW_V6))
    assert (not SingleFlight("b").acquire(public(other))) is is_held


def test_acquire__neighbours_of_one_caller_do_not_refuse_each_other():
    assert list(SingleFlight("b").acquire(public(LONDON, NEIGHBOUR))) == [LONDON, NEIGHBOUR]


def test_acquire__another_build_is_another_claim():
    SingleFlight("b").acquire(public(LONDON))
    assert SingleFlight("c").acquire(public(LONDON))


def test_release__leaves_the_lock_of_another():
    slow, other = SingleFlight("b"), SingleFlight("b")
    block = slow.acquire(public(LONDON))
    # The lock of the slow one has run out when another takes its place.
    backends.current().delete(single_flight.lock_key("b", ip_address(LONDON)))
    assert other.acquire(public(LONDON))
    slow.release(block)
    assert not SingleFlight("b").acquire(public(LONDON))


def test_release__of_nothing_asks_nobody(monkeypatch):
    monkeypatch.setattr(backends, "current", None)
    SingleFlight("b").release({})


@pytest.mark.parametrize("answered", [LONDON, NEIGHBOUR])
def test_wait__ends_with_the_answer_for_the_address_or_its_network(answered):
    SingleFlight("b").acquire(public(LONDON))
    hot_entries.set_many("b", [a_location(answered)], with_networks=True)
    assert SingleFlight("b").wait(public(LONDON), time.monotonic() + 60)[LONDON].city == "London"


def test_wait__ends_when_the_claim_is_gone():
    assert SingleFlight("b").wait(public(LONDON), time.monotonic() + 60) == {}


def test_wait__is_bounded():
    SingleFlight("b").acquire(public(LONDON))
    started = time.monotonic()
    assert SingleFlight("b").wait(public(LONDON), soon()) == {}
    assert time.monotonic() - started < 2


class Down:
    def refuse(self, *_, **__):
        raise OSError("down")

    add = delete_many = get_many = refuse


def test_single_flight__without_the_cache_nobody_waits_for_anybody(monkeypatch):
    monkeypatch.setattr(hot_entries, "cache_down", LogThrottle(seconds=60))
    monkeypatch.setattr(backends, "current", Down)
    assert SingleFlight("b").acquire(public(LONDON)) == public(LONDON)
    SingleFlight("b").release(public(LONDON))
    assert SingleFlight("b").wait(public(LONDON), time.monotonic() + 60) == {}


def test_single_flight__outlive_no_holder_for_as_long_as_others_wait():
    """One of those who wait for a dead holder takes its place; the others hear its answer."""
    assert single_flight.LOCK_SECONDS < single_flight.WAIT_SECONDS
