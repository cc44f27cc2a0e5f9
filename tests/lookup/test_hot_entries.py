import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from django.core.cache.backends.redis import RedisCache
from structlog.testing import capture_logs

from geocache.cache import backends
from geocache.location import NOT_FOUND, Location, dump_locations
from geocache.log_throttle import LogThrottle
from geocache.lookup import hot_entries
from geocache.lookup.memory import Memory, memory
from tests.factories import LONDON, a_location, many_locations
from tests.support.redis_client import redis_client

PARIS = "2.0.0.1"


@pytest.fixture(autouse=True)
def not_said_yet(monkeypatch):
    monkeypatch.setattr(hot_entries, "cache_down", LogThrottle(seconds=60))


@pytest.fixture
def cache_is_down(settings):
    """Nothing listens on this port."""
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        },
    }
    yield
    # Back before the other fixtures want to tidy up in it.
    settings.CACHES = {"default": settings.CACHES["default"]}


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr("geocache.lookup.memory.time", clock)
    return clock


def seconds_left(key):
    backend = backends.current()
    if isinstance(backend, RedisCache):
        with redis_client() as client:
            return client.ttl(backend.make_key(key))
    query = "SELECT expires_at FROM entries WHERE key = ?"
    row = backend.connection().execute(query, [backend.make_key(key)]).fetchone()
    return row[0] - time.time()


# --- memory ------------------------------------------------------------------------------------


def test_memory__gives_what_was_put_under_the_very_key():
    memory = Memory()
    location = a_location()
    memory.put([(LONDON, location), (ip_address(LONDON), location), (" x ", location)])
    assert memory.get(LONDON) is memory.get(ip_address(LONDON)) is memory.get(" x ") is location
    assert memory.get("x") is None


def test_memory__keeps_empty_answers_too():
    memory = Memory()
    memory.put([(LONDON, a_location(reason=NOT_FOUND))])
    assert memory.get(LONDON).reason == NOT_FOUND


def test_memory__holds_an_answer_for_its_time(settings, clock):
    settings.GEOCACHE = {**settings.GEOCACHE, "MEMORY_TTL_SECONDS": 60}
    memory = Memory()
    memory.put([(LONDON, a_location())])
    clock.now += 59.9
    assert memory.get(LONDON)
    clock.now += 0.2
    assert memory.get(LONDON) is None


def test_memory__a_time_of_zero_turns_it_off(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "MEMORY_TTL_SECONDS": 0}
    memory = Memory()
    memory.put([(LONDON, a_location())])
    assert memory.get(LONDON) is None


def test_memory__a_newer_answer_replaces_one_that_is_too_old(settings, clock):
    settings.GEOCACHE = {**settings.GEOCACHE, "MEMORY_TTL_SECONDS": 60, "MEMORY_SIZE": 4}
    memory = Memory()
    memory.put([(LONDON, a_location(city="old"))])
    memory.put((text, a_location(text)) for text in ("1.1.1.1", "1.1.1.2"))
    clock.now += 61
    memory.put([(LONDON, a_location(city="new"))])
    assert memory.get(LONDON).city == "new"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 10, 1000])
def test_memory__is_bounded(settings, size):
    settings.GEOCACHE = {**settings.GEOCACHE, "MEMORY_SIZE": size}
    memory = Memory()
    for location in many_locations(2500):
        memory.put([(location.address, location)])
        assert len(memory.young) + len(memory.old) <= max(size, 2)


def test_memory__keeps_at_least_the_newest_half(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "MEMORY_SIZE": 100}
    memory = Memory()
    locations = many_locations(1030)
    memory.put((one.address, one) for one in locations)
    assert all(memory.get(one.address) for one in locations[-50:])
    assert not any(memory.get(one.address) for one in locations[:-100])


def test_memory__what_is_asked_for_again_stays(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "MEMORY_SIZE": 20}
    memory = Memory()
    memory.put_one(LONDON, a_location())
    for location in many_locations(100):
        memory.put_one(location.address, location)
        assert memory.get(LONDON)
        assert len(memory.young) + len(memory.old) <= 20


def test_memory__does_not_live_longer_when_it_is_asked_for_again(settings, clock):
    settings.GEOCACHE = {**settings.GEOCACHE, "MEMORY_TTL_SECONDS": 60, "MEMORY_SIZE": 2}
    memory = Memory()
    memory.put_one(LONDON, a_location())
    memory.put_one("1.1.1.1", a_location("1.1.1.1"))
    clock.now += 59.9
    assert memory.get(LONDON)
    clock.now += 0.2
    assert memory.get(LONDON) is None


def test_memory__clear_forgets_all():
    memory = Memory()
    memory.put([(LONDON, a_location())])
    memory.clear()
    assert memory.get(LONDON) is None


@pytest.mark.parametrize("name", ["GEOCACHE", "CACHES"])
def test_memory__forgets_when_the_settings_change(settings, name):
    memory.put([(LONDON, a_location())])
    setattr(settings, name, {**getattr(settings, name)})
    assert memory.get(LONDON) is None


# --- hot entries -------------------------------------------------------------------------------


def test_get_many__gives_what_set_many_kept():
    found, not_found = a_location(), a_location(PARIS, reason=NOT_FOUND, city="")
    hot_entries.set_many("build", [found, not_found])
    asked = [LONDON, PARIS, "1.1.1.1"]
    assert hot_entries.get_many("build", asked) == {LONDON: found, PARIS: not_found}
    assert hot_entries.get_many("build", []) == {}


def test_get_many__an_answer_of_another_build_is_a_miss():
    hot_entries.set_many("City-1", [a_location()])
    assert hot_entries.get_many("City-2", [LONDON]) == {}
    assert hot_entries.get_many("City-1", [LONDON])


def test_key__is_short_and_plain_whatever_the_build():
    key = hot_entries.key("Ein Name mit Leerzeichen\n" * 100, "2a02:6b8::1")
    assert len(key) < 80
    assert key.isascii()
    assert not any(letter.isspace() for letter in key)
    assert key != hot_entries.key("other", "2a02:6b8::1")
    assert key.endswith(":2a02:6b8::1")


def test_set_many__not_found_lives_shorter(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "TTL_SECONDS": 5000, "NOT_FOUND_TTL_SECONDS": 500}
    hot_entries.set_many("b", [a_location(), a_location(PARIS, reason=NOT_FOUND)])
    assert 4900 < seconds_left(hot_entries.key("b", LONDON)) <= 5000
    assert 400 < seconds_left(hot_entries.key("b", PARIS)) <= 500


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "SEAL",
        '{"v":99,"n":1,"answers":[]}',
        dump_locations([]),
        dump_locations([a_location()])[:-9],
    ],
)
def test_get_many__an_undecodable_entry_is_a_miss_that_is_logged(text):
    hot_entries.set_many("b", [a_location(PARIS)])
    backends.current().set(hot_entries.key("b", LONDON), text)
    with capture_logs() as logs:
        assert hot_entries.get_many("b", [LONDON, PARIS]) == {PARIS: a_location(PARIS)}
    assert [(entry["event"], entry["key"]) for entry in logs] == [
        ("geo_cache_entry_undecodable", hot_entries.key("b", LONDON))
    ]


def test_get_many__a_number_where_an_entry_should_be_is_a_miss():
    backends.current().set(hot_entries.key("b", LONDON), 5)
    assert hot_entries.get_many("b", [LONDON]) == {}


def test_delete_many__of_one_build_and_these_addresses_alone():
    hot_entries.set_many("b", [a_location(), a_location(PARIS)])
    hot_entries.set_many("c", [a_location()])
    assert hot_entries.delete_many("b", [LONDON, "1.1.1.1"])
    assert set(hot_entries.get_many("b", [LONDON, PARIS])) == {PARIS}
    assert set(hot_entries.get_many("c", [LONDON])) == {LONDON}


@pytest.mark.usefixtures("cache_is_down")
def test_delete_many__cache_that_is_down_is_told():
    assert not hot_entries.delete_many("b", [LONDON])


@pytest.mark.usefixtures("cache_is_down")
def test_cache_down__is_a_miss_in_bounded_time_and_said_once():
    started = time.perf_counter()
    with capture_logs() as logs:
        for _ in range(3):
            assert hot_entries.get_many("b", [LONDON]) == {}
            hot_entries.set_many("b", [a_location()])
    assert time.perf_counter() - started < 5
    assert [entry["event"] for entry in logs] == ["geo_cache_unavailable"]
    assert logs[0]["log_level"] == "error"


def test_cache_down__a_backend_that_cannot_be_made_is_a_miss_too(settings):
    settings.CACHES = {**settings.CACHES, "geocache": {"BACKEND": "no.such.Backend"}}
    try:
        assert hot_entries.get_many("b", [LONDON]) == {}
        hot_entries.set_many("b", [a_location()])
    finally:
        settings.CACHES = {"default": settings.CACHES["default"]}


# --- networks ----------------------------------------------------------------------------------


def near(*addresses: str) -> dict[str, Location]:
    return hot_entries.get_near("b", {text: ip_address(text) for text in addresses})


def test_get_near__is_the_hot_entry_else_that_of_the_narrowest_network() -> None:
    for network, city in (("81.2.0.0/16", "Wide"), ("81.2.69.0/24", "Narrow")):
        location = a_location("81.2.69.1", network=network, city=city)
        hot_entries.set_many("b", [location], with_networks=True)
    hot_entries.set_many("b", [a_location(city="Own")])
    answers = near(LONDON, "81.2.69.7", "81.2.70.7", "81.3.0.1")
    assert {text: one.city for text, one in answers.items()} == {
        LONDON: "Own",
        "81.2.69.7": "Narrow",
        "81.2.70.7": "Wide",
    }
    assert all(one.address == text for text, one in answers.items())


@pytest.mark.parametrize(
    ("network", "is_known"),
    [("2a02::/16", True), ("2a02:6b8::/64", True), ("2a02:6b8::/65", False)],
)
def test_get_near__of_ipv6_no_network_narrower_than_64(network: str, is_known: bool) -> None:
    hot_entries.set_many("b", [a_location("2a02:6b8::1", network=network)], with_networks=True)
    assert bool(near("2a02:6b8::2")) is is_known


def test_get_near__is_one_trip_for_many_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    trips = []
    get_many = backends.get_many
    monkeypatch.setattr(
        backends, "get_many", lambda cache, keys: trips.append(len(keys)) or get_many(cache, keys)
    )
    near(*(f"20.{n}.0.1" for n in range(hot_entries.NEAR_ADDRESSES)))
    assert len(trips) == 1
    near(*(f"21.{n % 200}.{n // 200}.1" for n in range(hot_entries.NEAR_ADDRESSES + 1)))
    assert len(trips) == 3


def test_set_many__keeps_networks_only_of_what_was_paid_for() -> None:
    hot_entries.set_many("b", [a_location()])
    assert near("81.2.69.7") == {}


def test_set_many__the_entry_of_a_network_does_not_name_who_was_asked_about() -> None:
    hot_entries.set_many("b", [a_location()], with_networks=True)
    assert LONDON not in backends.current().get(
        hot_entries.key("b", "81.2.69.0/24", hot_entries.NETWORK_KEYS)
    )


# --- answers of the table ------------------------------------------------------------------------

DAY_SECONDS = 86_400


@pytest.mark.parametrize(
    ("age_days", "reason", "shortest_days", "longest_days"),
    [
        (0, "", 30, 30),
        (60, "", 15, 30),
        (80, "", 5, 10),
        (89, "", 0.5, 1),
        # A clock that was set back.
        (-400, "", 30, 30),
        (0.5, NOT_FOUND, 0.25, 0.5),
    ],
)
def test_set_rows__an_entry_ends_before_its_row(age_days, reason, shortest_days, longest_days):
    """Else a row of 89 days would be given out for 30 days more."""
    resolved_at = datetime.now(UTC) - timedelta(days=age_days)
    hot_entries.set_rows("b", [a_location(LONDON, resolved_at=resolved_at, reason=reason)])
    seconds = seconds_left(hot_entries.key("b", LONDON))
    assert shortest_days * DAY_SECONDS - 60 <= seconds <= longest_days * DAY_SECONDS


def test_set_rows__one_that_is_not_good_any_more_is_left_out():
    hot_entries.set_rows(
        "b", [a_location(LONDON, resolved_at=datetime.now(UTC) - timedelta(days=91))]
    )
    assert hot_entries.get_many("b", [LONDON]) == {}


def test_set_rows__rows_of_any_age_take_few_trips(monkeypatch):
    backend = type(backends.current())
    set_many, trips = backend.set_many, []
    monkeypatch.setattr(
        backend, "set_many", lambda *args, **more: trips.append(args) or set_many(*args, **more)
    )
    now = datetime.now(UTC)
    rows = [
        a_location(f"20.0.{n // 250}.{n % 250}", resolved_at=now - timedelta(days=n * 0.09))
        for n in range(1000)
    ]
    hot_entries.set_rows("b", rows)
    assert len(trips) <= 24
