import time
from ipaddress import ip_address

import pytest

from geocache.cache import backends
from geocache.log_throttle import LogThrottle
from geocache.lookup import hot_entries, single_flight
from geocache.lookup.execution import BLOCKING, finished
from geocache.lookup.single_flight import SingleFlight, acquire_all
from geocache.providers.dummy import DummyProvider
from tests.factories import LONDON, MOSCOW_V6, a_location

NEIGHBOUR = "81.2.69.7"


def public(*addresses):
    return {text: ip_address(text) for text in addresses}


def a_flight(build="b", *, timeout_seconds=5.0):
    provider = DummyProvider(is_metered=True)
    provider.timeout_seconds = timeout_seconds
    return SingleFlight(build, provider)


def test_acquire__a_block_belongs_to_one_until_it_is_released():
    flight = a_flight()
    first = flight.acquire(public(LONDON, MOSCOW_V6))
    assert list(first) == [LONDON, MOSCOW_V6]
    assert list(a_flight().acquire(public(LONDON, "9.9.9.9"))) == ["9.9.9.9"]
    flight.release(first)
    assert list(a_flight().acquire(public(LONDON))) == [LONDON]


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
    a_flight().acquire(public(LONDON, MOSCOW_V6))
    assert (not a_flight().acquire(public(other))) is is_held


def test_acquire__neighbours_of_one_caller_do_not_refuse_each_other():
    assert list(a_flight().acquire(public(LONDON, NEIGHBOUR))) == [LONDON, NEIGHBOUR]


def test_acquire_all__a_block_is_that_of_the_first_that_names_it():
    """Also where all have one holder, as the look-ups of one event loop have."""
    provider = DummyProvider(is_metered=True)
    for token in ("", "one holder-"):
        flights = [SingleFlight(f"b{token}", provider, token) for _ in range(3)]
        wanted = [public(LONDON), public(NEIGHBOUR, "9.9.9.9"), public(MOSCOW_V6)]
        acquired = acquire_all(zip(flights, wanted, strict=True))
        assert [list(some) for some in acquired] == [[LONDON], ["9.9.9.9"], [MOSCOW_V6]]


def test_acquire_all__is_one_trip_for_one_holder(monkeypatch):
    trips = []
    add_many = backends.add_many

    def watched(backend, keys, value, seconds):
        trips.append(len(keys))
        return add_many(backend, keys, value, seconds)

    monkeypatch.setattr(backends, "add_many", watched)
    provider = DummyProvider(is_metered=True)
    wanted = [public(f"20.0.{n}.1") for n in range(5)]
    acquire_all((SingleFlight("b", provider, "one holder-"), some) for some in wanted)
    assert trips == [5]


@pytest.mark.parametrize("names_networks", [True, False])
def test_find_known__looks_for_networks_where_the_provider_names_them(names_networks):
    provider = DummyProvider(is_metered=True)
    provider.names_networks = names_networks
    hot_entries.set_many("b", [a_location(NEIGHBOUR)], with_networks=True)
    flight = SingleFlight("b", provider)
    assert flight.find_known(public(NEIGHBOUR))
    assert bool(flight.find_known(public(LONDON))) is names_networks


def test_acquire__another_build_is_another_claim():
    a_flight().acquire(public(LONDON))
    assert a_flight("c").acquire(public(LONDON))


def test_release__leaves_the_lock_of_another():
    slow, other = a_flight(), a_flight()
    block = slow.acquire(public(LONDON))
    # The lock of the slow one has run out when another takes its place.
    backends.current().delete(single_flight.lock_key("b", ip_address(LONDON)))
    assert other.acquire(public(LONDON))
    slow.release(block)
    assert not a_flight().acquire(public(LONDON))


def test_release__of_nothing_asks_nobody(monkeypatch):
    monkeypatch.setattr(backends, "current", None)
    a_flight().release({})


@pytest.mark.parametrize("answered", [LONDON, NEIGHBOUR])
def test_wait__ends_with_the_answer_for_the_address_or_its_network(answered):
    a_flight().acquire(public(LONDON))
    hot_entries.set_many("b", [a_location(answered)], with_networks=True)
    assert finished(a_flight().wait(BLOCKING, public(LONDON)))[LONDON].city == "London"


def test_wait__ends_when_the_claim_is_gone():
    assert finished(a_flight().wait(BLOCKING, public(LONDON))) == {}


def test_wait__is_bounded():
    a_flight().acquire(public(LONDON))
    flight = a_flight()
    flight.wait_seconds = 0.05
    started = time.monotonic()
    assert finished(flight.wait(BLOCKING, public(LONDON))) == {}
    assert flight.has_waited_long_enough()
    assert time.monotonic() - started < 2


class Down:
    def refuse(self, *_, **__):
        raise OSError("down")

    add = delete_many = get_many = refuse


def test_single_flight__without_the_cache_nobody_waits_for_anybody(monkeypatch):
    monkeypatch.setattr(hot_entries, "cache_down", LogThrottle(seconds=60))
    monkeypatch.setattr(backends, "current", Down)
    assert a_flight().acquire(public(LONDON)) == public(LONDON)
    a_flight().release(public(LONDON))
    assert finished(a_flight().wait(BLOCKING, public(LONDON))) == {}


def test_single_flight__a_lock_lives_as_long_as_the_provider_may_take(monkeypatch):
    seconds = []
    add_many = backends.add_many

    def watched(backend, keys, value, lasting):
        seconds.append(lasting)
        return add_many(backend, keys, value, lasting)

    monkeypatch.setattr(backends, "add_many", watched)
    flight = a_flight(timeout_seconds=9.5)
    flight.acquire(public(LONDON))
    flight.acquire(public("9.9.9.9", MOSCOW_V6))
    assert seconds == [12, 21]
    assert flight.wait_seconds >= max(seconds)


@pytest.mark.parametrize(
    ("timeout_seconds", "sizes"), [(0.01, [9]), (5.0, [8, 1]), (30.0, [4, 4, 1])]
)
def test_parts__none_takes_much_longer_than_a_minute(timeout_seconds, sizes):
    asked = public(*(f"20.0.{n}.1" for n in range(9)))
    parts = list(a_flight(timeout_seconds=timeout_seconds).parts(asked))
    assert [len(part) for part in parts] == sizes
    assert [text for part in parts for text in part] == list(asked)
