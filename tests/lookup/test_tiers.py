import asyncio
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import ClassVar

import pytest
from asgiref.sync import async_to_sync
from django.core.cache.backends.redis import RedisCache
from django.db import InterfaceError, OperationalError, connection
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString
from msgspec.structs import replace
from structlog.testing import capture_logs

from geocache.cache import backends
from geocache.cache.embedded import EmbeddedCache
from geocache.exceptions import InvalidAddress, ProviderError
from geocache.journal import reader, segments
from geocache.journal.flush import flush_dirty
from geocache.journal.last_seen import is_record
from geocache.location import NOT_FOUND, UNAVAILABLE, load_locations
from geocache.log_throttle import LogThrottle
from geocache.lookup import alookup, alookup_many, hot_entries, lookup, lookup_many
from geocache.lookup import tiers as lookup_module
from geocache.lookup.memory import memory
from geocache.models import GeoCache
from geocache.providers import factory
from tests.benchmarks.trips import counted_trips
from tests.factories import LONDON, MOSCOW_V6, a_location, a_row, use_dummy_provider

ANSWERS = {
    LONDON: {"country_code": "GB", "city": "London", "network": "81.2.69.0/24"},
    MOSCOW_V6: {"country_code": "RU", "city": "Moscow", "network": "2a02:6b8::/32"},
}
UNKNOWN = "9.9.9.9"


class SpyCache(EmbeddedCache):
    """The real cache, which notes what it is told and can be told to refuse."""

    told: ClassVar[list[tuple[str, list[str]]]] = []
    refused: ClassVar[set[str]] = set()

    def _note(self, operation, keys):
        self.told.append((operation, list(keys)))
        if operation in self.refused:
            raise OSError(f"no {operation} today")

    def add(self, key, *args, **kwargs):
        self._note("add", [key])
        return super().add(key, *args, **kwargs)

    def append(self, record, entry, *args):
        self._note("add", [record[0]])
        if entry:
            self._note("set", [entry[0]])
        return super().append(record, entry, *args)

    def get(self, key, *args, **kwargs):
        self._note("get", [key])
        return super().get(key, *args, **kwargs)

    def get_many(self, keys, *args, **kwargs):
        self._note("get_many", keys)
        return super().get_many(keys, *args, **kwargs)

    def set(self, key, *args, **kwargs):
        self._note("set", [key])
        return super().set(key, *args, **kwargs)

    def set_many(self, data, *args, **kwargs):
        self._note("set_many", data)
        return super().set_many(data, *args, **kwargs)


@pytest.fixture(autouse=True)
def not_said_yet(monkeypatch):
    monkeypatch.setattr(lookup_module, "provider_down", LogThrottle(seconds=60))
    monkeypatch.setattr(hot_entries, "cache_down", LogThrottle(seconds=60))


@pytest.fixture
def dummy(settings):
    return use_dummy_provider(settings, answers=ANSWERS)


@pytest.fixture
def metered(settings):
    return use_dummy_provider(settings, answers=ANSWERS, is_metered=True)


@pytest.fixture
def spy(settings, monkeypatch, tmp_path):
    monkeypatch.setattr(SpyCache, "told", [])
    monkeypatch.setattr(SpyCache, "refused", set())
    geocache = {"BACKEND": f"{__name__}.SpyCache", "LOCATION": str(tmp_path / "cache")}
    settings.CACHES = {**settings.CACHES, "geocache": geocache}
    return SpyCache


@pytest.fixture
def without_journal(settings):
    locmem = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": __name__}
    settings.CACHES = {**settings.CACHES, "geocache": locmem}
    yield
    backends.current().clear()


def journaled():
    """Every journal record of answers there is, as lists of addresses."""
    last = reader.last_ticket()
    first = segments.base_of(last) + 1
    return [
        [location.address for location in load_locations(text)]
        for segment in reader.close_segments(range(first, last + 1))
        for text in segment.records.values()
        if not is_record(text)
    ]


def in_another_process():
    """What is known here is not known there."""
    memory.clear()


# --- the tiers ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_lookup__new_address_is_in_the_table_after_a_flush():
    location = lookup(LONDON)
    assert location.country_code == "GB"
    assert not GeoCache.objects.exists()
    assert flush_dirty().flushed == 1
    assert GeoCache.objects.get().to_location() == location


@pytest.mark.usefixtures("dummy")
def test_lookup__what_is_asked_for_again_stays_in_memory(settings, spy):
    settings.GEOCACHE = {**settings.GEOCACHE, "MEMORY_SIZE": 4}
    lookup(LONDON)
    for number in range(1, 9):
        lookup(f"20.0.0.{number}")
        spy.told.clear()
        lookup(LONDON)
        lookup_many([LONDON])
        assert spy.told == []


@pytest.mark.usefixtures("dummy")
def test_lookup__answers_without_any_database():
    """Without the mark ``django_db`` every query raises."""
    assert lookup(LONDON).city == "London"
    in_another_process()
    assert lookup(LONDON).city == "London"
    assert lookup_many([LONDON, UNKNOWN, MOSCOW_V6, "10.0.0.1"])[MOSCOW_V6].city == "Moscow"


@pytest.mark.django_db
@pytest.mark.usefixtures("dummy")
def test_lookup__makes_no_query_with_a_provider_that_is_free(django_assert_num_queries):
    with django_assert_num_queries(0):
        lookup(LONDON)
        in_another_process()
        lookup_many([LONDON, UNKNOWN])


def test_lookup__memory_asks_neither_cache_nor_provider(dummy, spy):
    first = lookup(LONDON)
    spy.told.clear()
    assert lookup(LONDON) is first
    assert lookup_many([LONDON]) == {LONDON: first}
    assert dummy.asked == [LONDON]
    assert spy.told == []


def test_lookup__hot_entry_asks_no_provider_and_journals_nothing(dummy, spy):
    first = lookup(LONDON)
    in_another_process()
    spy.told.clear()
    assert lookup(LONDON) == first
    assert dummy.asked == [LONDON]
    assert [operation for operation, _ in spy.told] == ["get"]


@pytest.mark.django_db(transaction=True)  # no savepoints, as outside of tests
def test_lookup__metered_own_row_asks_no_provider(metered, django_assert_num_queries):
    row = a_row(LONDON, city="From the row", resolved_at=datetime.now(UTC))
    with django_assert_num_queries(1):
        assert lookup(LONDON) == row.to_location()
    assert metered.asked == []
    in_another_process()
    with django_assert_num_queries(0):
        assert lookup(LONDON) == row.to_location()
    assert journaled() == []


@pytest.mark.django_db
@pytest.mark.usefixtures("dummy")
def test_lookup__a_free_provider_is_asked_rather_than_the_table():
    a_row(LONDON, city="From the row", resolved_at=datetime.now(UTC))
    assert lookup(LONDON).city == "London"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("age_seconds", "reason", "is_asked"),
    [(900, "", False), (1100, "", True), (90, NOT_FOUND, False), (110, NOT_FOUND, True)],
)
@pytest.mark.usefixtures("metered")
def test_lookup__metered_row_stands_in_only_while_it_is_fresh(
    settings, age_seconds, reason, is_asked
):
    ages = {"ROW_TTL_SECONDS": 1000, "NOT_FOUND_TTL_SECONDS": 100}
    settings.GEOCACHE = {**settings.GEOCACHE, **ages}
    provider = factory.current()
    at = datetime.now(UTC) - timedelta(seconds=age_seconds)
    a_row(LONDON, resolved_at=at, reason=reason)
    lookup(LONDON)
    assert (provider.asked == [LONDON]) is is_asked


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("known", "network", "asked"),
    [
        ("81.2.69.1", "81.2.69.0/24", "81.2.69.255"),
        ("81.2.69.1", "81.0.0.0/8", "81.255.255.255"),
        ("2a02:6b8::1", "2a02:6b8::/32", "2a02:6b8:ffff::9"),
        ("2a02:6b8::1", "2a02::/16", "2a02:ffff::"),
    ],
)
def test_lookup__metered_known_network_asks_no_provider(metered, known, network, asked):
    a_row(known, network=network, city="Near", resolved_at=datetime.now(UTC))
    answer = lookup(asked)
    assert (answer.address, answer.city, answer.network) == (asked, "Near", network)
    assert metered.asked == []


@pytest.mark.django_db
def test_lookup__metered_of_two_known_networks_the_narrower_answers(metered):
    now = datetime.now(UTC)
    a_row("81.2.0.1", network="81.2.0.0/16", city="Wide", resolved_at=now)
    a_row("81.2.69.1", network="81.2.69.0/24", city="Narrow", resolved_at=now)
    assert lookup("81.2.69.9").city == "Narrow"
    assert lookup("81.2.70.9").city == "Wide"
    assert metered.asked == []


@pytest.mark.django_db
@pytest.mark.parametrize("asked", ["81.2.70.0", "81.2.68.255", "2a02:6b9::", "::51:245:1"])
def test_lookup__metered_just_outside_a_known_network_asks_the_provider(metered, asked):
    now = datetime.now(UTC)
    a_row("81.2.69.1", network="81.2.69.0/24", resolved_at=now)
    a_row("2a02:6b8::1", network="2a02:6b8::/32", resolved_at=now)
    lookup(asked)
    # One of them is in a part of IPv6 that is not given out, and asks nobody.
    assert metered.asked == ([asked] if not asked.startswith("::") else [])


@pytest.mark.django_db
def test_lookup__metered_a_row_without_a_network_answers_for_itself_only(metered):
    a_row(LONDON, network="", resolved_at=datetime.now(UTC))
    lookup("81.2.69.143")
    assert metered.asked == ["81.2.69.143"]


@pytest.fixture
def few_variables():
    """SQLite as it is built by default: 32,766 variables a query, where Debian's takes 250,000."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    which = sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER
    before = connection.connection.setlimit(which, 32_766)
    yield
    connection.connection.setlimit(which, before)


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.usefixtures("few_variables")
def test_lookup_many__metered_knows_the_networks_of_any_number_of_addresses(metered):
    """Each IPv6 address lies in 113 networks: 300 of them in more than one query can name."""
    askeds = [f"2{n:03x}:{n:x}:{n * 7:x}::{n:x}" for n in range(0x400, 0x400 + 300)]
    GeoCache.objects.upsert(
        a_location(
            str(ip_address(asked) + 1),
            network=str(ip_network((asked, 48), strict=False)),
            city="Near",
            resolved_at=datetime.now(UTC),
        )
        for asked in askeds
    )
    with capture_logs() as logs:
        answers = lookup_many(askeds)
    assert logs == []
    assert {answer.city for answer in answers.values()} == {"Near"}
    assert metered.asked == []


@pytest.mark.django_db
@pytest.mark.usefixtures("metered")
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_lookup__metered_asks_the_provider_when_the_table_cannot_be_read(monkeypatch, error):
    def away(*_, **__):
        raise error("away")

    monkeypatch.setattr(GeoCache.objects, "fresh", lambda **_: GeoCache.objects.none())
    monkeypatch.setattr("django.db.models.query.QuerySet.in_bulk", away)
    with capture_logs() as logs:
        assert lookup(LONDON).city == "London"
    assert [entry["event"] for entry in logs] == ["geo_rows_unavailable"]


@pytest.mark.usefixtures("dummy")
def test_lookup__the_journal_is_written_before_the_hot_entry(spy):
    lookup(LONDON)
    lookup_many([MOSCOW_V6, UNKNOWN])
    written = [
        "record" if ":r:" in keys[0] else "entry"
        for operation, keys in spy.told
        if operation in ("add", "set", "set_many") and (":r:" in keys[0] or keys[0][:2] == "e:")
    ]
    assert written == ["record", "entry", "record", "entry", "entry"]


@pytest.mark.usefixtures("dummy")
def test_lookup__a_new_address_is_two_trips_to_redis():
    if not isinstance(backends.current(), RedisCache):
        pytest.skip("needs Redis as the cache")
    lookup(LONDON)
    with counted_trips() as trips:
        lookup(MOSCOW_V6)
    assert len(trips) == 2
    assert journaled() == [[LONDON], [MOSCOW_V6]]
    memory.clear()
    with counted_trips() as trips:
        assert lookup(MOSCOW_V6).country_code
    assert len(trips) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("dummy")
def test_lookup__an_answer_is_not_lost_when_its_hot_entry_cannot_be_written(spy):
    spy.refused.add("set_many")
    with capture_logs() as logs:
        locations = lookup_many([LONDON, MOSCOW_V6])
    assert locations[LONDON].city == "London"
    assert "geo_cache_unavailable" in [entry["event"] for entry in logs]
    spy.refused.clear()
    assert flush_dirty().flushed == 2
    assert GeoCache.objects.get(address=LONDON).to_location() == locations[LONDON]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("dummy")
def test_lookup__an_answer_is_written_through_when_record_and_hot_entry_cannot_be_both(spy):
    spy.refused.add("set")
    location = lookup(LONDON)
    assert location.city == "London"
    assert GeoCache.objects.get().to_location() == location
    spy.refused.clear()
    # Neither of the two was left in the cache.
    assert flush_dirty().flushed == 0
    assert hot_entries.get(factory.current().build(), LONDON) == location


def test_lookup__a_new_build_makes_hot_entries_stale_at_once(settings):
    use_dummy_provider(settings, answers={LONDON: {"city": "Old"}}, version="1")
    assert lookup(LONDON).city == "Old"
    use_dummy_provider(settings, answers={LONDON: {"city": "New"}}, version="2")
    assert lookup(LONDON).city == "New"
    back = use_dummy_provider(settings, answers={}, version="1")
    assert lookup(LONDON).city == "Old"
    assert back.asked == []


# --- empty answers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.1.2.3", "private"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("fe80::1%eth0", "link_local"),
        ("224.0.0.1", "multicast"),
        ("100.64.0.1", "shared"),
        ("192.0.2.1", "documentation"),
        ("0.0.0.0", "unspecified"),
        ("240.0.0.1", "reserved"),
        ("::ffff:192.168.0.1", "private"),
    ],
)
def test_lookup__special_addresses_reach_neither_cache_nor_provider(dummy, spy, address, reason):
    location = lookup(address)
    assert not location
    assert location.reason == reason
    assert "%" not in location.address
    assert dummy.asked == []
    assert spy.told == []


@pytest.mark.django_db(transaction=True)
def test_lookup__not_found_is_remembered_and_journaled(dummy):
    assert lookup(UNKNOWN).reason == NOT_FOUND
    assert lookup(UNKNOWN).reason == NOT_FOUND
    in_another_process()
    assert lookup(UNKNOWN).reason == NOT_FOUND
    assert dummy.asked == [UNKNOWN]
    flush_dirty()
    assert GeoCache.objects.get().reason == NOT_FOUND


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "abc",
        "1.2.3.4.5",
        "1.2.3.0/24",
        "1.2.3.4\0",
        "example.com",
        "\u0661.2.3.4",
        5,
        None,
        [],
        {},
        [LONDON],
        b"1.2.3.4",
        bytearray(4),
        ip_network("81.2.69.0/24"),
        ip_network("2001:db8::/127"),
    ],
)
def test_lookup__what_is_no_address_raises_and_is_not_remembered(dummy, bad):
    for _ in range(2):
        with pytest.raises(InvalidAddress):
            lookup(bad)
        with pytest.raises(InvalidAddress):
            async_to_sync(alookup)(bad)
    with pytest.raises(InvalidAddress):
        lookup_many([LONDON, bad])
    with pytest.raises(InvalidAddress):
        lookup_many(iter([LONDON, bad]))
    assert dummy.asked == []
    assert not memory.young


@pytest.mark.parametrize(
    "value",
    [
        ip_interface("81.2.69.142/24"),
        ip_interface("81.2.69.142/32"),
        ip_interface("::ffff:81.2.69.142/120"),
        ip_network("81.2.69.142/32"),
        ip_network("::ffff:81.2.69.142/128"),
        " 81.2.69.142\n",
        "81.2.69.142" + " " * 28,
        SafeString(LONDON),
        SimpleLazyObject(lambda: LONDON),
    ],
)
def test_lookup__what_stands_for_one_address_is_that_address(dummy, value):
    for _ in range(2):
        assert lookup(value).address == LONDON
        assert async_to_sync(alookup)(value).address == LONDON
        assert lookup_many([value])[value].address == LONDON
    assert dummy.asked == [LONDON]


@pytest.mark.usefixtures("dummy")
def test_lookup__an_interface_of_a_special_network_is_its_address():
    assert lookup(ip_interface("10.0.0.1/8")).to_plain()["address"] == "10.0.0.1"
    assert lookup(ip_interface("fe80::1%eth0/64")).address == "fe80::1"


# --- failure -----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_lookup__a_failure_of_the_provider_is_not_remembered(settings):
    failing = use_dummy_provider(settings, answers=ANSWERS, is_failing=True)
    with capture_logs() as logs:
        assert lookup(LONDON).reason == UNAVAILABLE
        assert lookup_many([LONDON, MOSCOW_V6])[MOSCOW_V6].reason == UNAVAILABLE
    assert [entry["event"] for entry in logs] == ["geo_provider_failed"]
    assert journaled() == []
    failing.is_failing = False
    assert lookup(LONDON).city == "London"


@pytest.mark.django_db
@pytest.mark.parametrize("is_metered", [False, True])
def test_lookup__an_old_row_beats_nothing_when_the_provider_fails(settings, is_metered):
    use_dummy_provider(settings, is_failing=True, is_metered=is_metered)
    row = a_row(LONDON, resolved_at=datetime(2001, 1, 1, tzinfo=UTC))
    answers = lookup_many([LONDON, UNKNOWN])
    assert answers[LONDON] == replace(row.to_location(), is_stale=True)
    assert answers[UNKNOWN].reason == UNAVAILABLE
    # It stays what it was: nothing new is remembered.
    assert journaled() == []
    assert hot_entries.get_many(factory.current().build(), [LONDON, UNKNOWN]) == {}
    # From the memory, too.
    assert lookup(LONDON).to_plain()["stale"] is True


@pytest.mark.django_db
def test_lookup__metered_young_row_is_not_stale(settings):
    use_dummy_provider(settings, is_metered=True)
    a_row(LONDON, resolved_at=datetime.now(UTC))
    assert not lookup(LONDON).is_stale


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_lookup__provider_and_database_both_away_is_unavailable(settings, monkeypatch, error):
    use_dummy_provider(settings, is_failing=True)

    def away(*_, **__):
        raise error("away")

    monkeypatch.setattr("django.db.models.query.QuerySet.in_bulk", away)
    assert lookup(LONDON).reason == UNAVAILABLE


@pytest.mark.django_db
def test_lookup__no_database_file_at_all_is_unavailable(settings, tmp_path):
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [tmp_path / "none.mmdb"]}
    assert lookup(LONDON).reason == UNAVAILABLE


@pytest.mark.django_db
def test_lookup_many__answers_what_the_provider_could_when_it_failed_for_some(dummy, monkeypatch):
    resolve = dummy.resolve

    def moody(address):
        if address == LONDON:
            raise ProviderError("not this one")
        return resolve(address)

    monkeypatch.setattr(dummy, "resolve", moody)
    answers = lookup_many([LONDON, MOSCOW_V6])
    assert answers[LONDON].reason == UNAVAILABLE
    assert answers[MOSCOW_V6].city == "Moscow"
    assert journaled() == [[MOSCOW_V6]]
    assert memory.get(LONDON) is None


@pytest.mark.django_db
@pytest.mark.usefixtures("without_journal")
@pytest.mark.usefixtures("dummy")
def test_lookup__without_a_journal_writes_through_to_the_table():
    with capture_logs() as logs:
        location = lookup(LONDON)
        lookup_many([MOSCOW_V6, UNKNOWN])
    assert GeoCache.objects.get(address=LONDON).to_location() == location
    assert GeoCache.objects.count() == 3
    assert [entry["event"] for entry in logs] == ["geo_cache_written_through"]


@pytest.mark.usefixtures("without_journal")
@pytest.mark.usefixtures("dummy")
def test_lookup__without_journal_and_database_answers_and_says_what_is_lost(monkeypatch):
    def away(*_, **__):
        raise OperationalError("away")

    monkeypatch.setattr("geocache.journal.table_writer.write", away)
    with capture_logs() as logs:
        assert lookup_many([LONDON, MOSCOW_V6])[LONDON].city == "London"
    assert [(entry["event"], entry.get("kept")) for entry in logs] == [
        ("geo_answers_unrecorded", 2),
    ]


@pytest.mark.django_db
@pytest.mark.usefixtures("dummy")
def test_lookup__with_the_cache_down_still_answers_and_writes_through(settings):
    before = settings.CACHES
    redis = "django.core.cache.backends.redis.RedisCache"
    down = {"BACKEND": redis, "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {**before, "geocache": down}
    try:
        started = time.perf_counter()
        assert lookup(LONDON).city == "London"
        assert time.perf_counter() - started < 5
    finally:
        settings.CACHES = before
    assert GeoCache.objects.get().city == "London"


# --- batches -----------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("is_metered", [False, True])
def test_lookup_many__neighbours_among_many_are_asked_for_together_unless_they_are_paid_for(
    settings, monkeypatch, is_metered
):
    monkeypatch.setattr(lookup_module, "BATCH_ADDRESSES", 3)
    provider = use_dummy_provider(settings, answers=ANSWERS, is_metered=is_metered)
    listed = [LONDON, "9.9.9.9", "20.0.0.1", "1.1.1.1"]
    assert list(lookup_many(listed)) == listed
    assert provider.asked == (listed if is_metered else sorted(listed))


def test_lookup_many__keys_are_the_very_texts_in_their_order(dummy):
    askeds = [
        MOSCOW_V6,
        "2A02:6B8::0001",
        LONDON,
        f"::ffff:{LONDON}",
        f" {LONDON} ",
        IPv4Address(LONDON),
        IPv6Address(MOSCOW_V6),
        "10.0.0.1",
        LONDON,
        UNKNOWN,
    ]
    answers = lookup_many(askeds)
    assert list(answers) == list(dict.fromkeys(askeds))
    assert [answers[asked].address for asked in askeds[:6]] == [MOSCOW_V6] * 2 + [LONDON] * 4
    assert sorted(dummy.asked) == sorted([MOSCOW_V6, LONDON, UNKNOWN])
    assert lookup_many(reversed(askeds)) == answers
    assert next(iter(lookup_many(reversed(askeds)))) == UNKNOWN


@pytest.mark.usefixtures("dummy")
def test_lookup_many__of_nothing_is_nothing(spy):
    assert lookup_many([]) == {}
    assert lookup_many(iter(())) == {}
    assert spy.told == []


@pytest.mark.usefixtures("dummy")
def test_lookup_many__takes_a_generator():
    assert len(lookup_many(f"20.0.0.{n}" for n in range(10))) == 10


@pytest.mark.usefixtures("dummy")
def test_lookup_many__one_record_per_200_answers_and_one_trip_per_tier(spy):
    askeds = [f"20.0.{n >> 8}.{n & 255}" for n in range(450)]
    lookup_many(askeds)
    entries = [(operation, len(keys)) for operation, keys in spy.told if keys[0].startswith("e:")]
    assert entries == [("get_many", 450), ("set_many", 450)]
    spy.told.clear()
    assert [len(addresses) for addresses in journaled()] == [200, 200, 50]


@pytest.mark.usefixtures("dummy")
def test_lookup_many__more_than_a_batch_goes_through_in_parts(spy):
    size = lookup_module.BATCH_ADDRESSES
    askeds = [f"20.0.{n >> 8}.{n & 255}" for n in range(2 * size + 1)]
    assert list(lookup_many(askeds)) == askeds
    reads = [keys for operation, keys in spy.told if operation == "get_many"]
    assert [len(keys) for keys in reads if keys[0].startswith("e:")] == [size, size, 1]


def test_lookup_many__asks_the_later_tiers_only_for_what_the_earlier_do_not_know(dummy, spy):
    lookup(LONDON)
    in_another_process()
    lookup(LONDON)
    lookup(UNKNOWN)
    spy.told.clear()
    lookup_many([LONDON, UNKNOWN, MOSCOW_V6])
    assert dummy.asked == [LONDON, UNKNOWN, MOSCOW_V6]
    assert spy.told[0] == ("get_many", [hot_entries.key(dummy.build(), MOSCOW_V6)])


@pytest.mark.django_db(transaction=True)  # no savepoints, as outside of tests
def test_lookup_many__metered_is_two_queries_for_a_whole_batch(metered, django_assert_num_queries):
    now = datetime.now(UTC)
    a_row(LONDON, resolved_at=now)
    a_row("2a02:6b8::2", network="2a02:6b8::/32", resolved_at=now)
    askeds = [LONDON, MOSCOW_V6, *(f"20.0.0.{n}" for n in range(100))]
    with django_assert_num_queries(2):
        lookup_many(askeds)
    assert sorted(metered.asked) == sorted(askeds[2:])


# --- asyncio -----------------------------------------------------------------------------------


def test_alookup__answers_as_lookup_does(dummy):
    async def main():
        first = await alookup(LONDON)
        assert await alookup(LONDON) is first
        many = await alookup_many([LONDON, MOSCOW_V6, "10.0.0.1"])
        both = await asyncio.gather(alookup(UNKNOWN), alookup(MOSCOW_V6))
        with pytest.raises(InvalidAddress):
            await alookup("nonsense")
        return first, many, both

    first, many, (unknown, moscow) = asyncio.run(main())
    assert first == lookup(LONDON)
    assert many == lookup_many([LONDON, MOSCOW_V6, "10.0.0.1"])
    assert (unknown.reason, moscow.city) == (NOT_FOUND, "Moscow")
    assert sorted(dummy.asked) == sorted([LONDON, MOSCOW_V6, UNKNOWN])


def test_alookup__does_not_block_the_event_loop(dummy, monkeypatch):
    resolve, loop_went_on = dummy.resolve, threading.Event()

    def slow(address):
        assert loop_went_on.wait(10)
        return resolve(address)

    monkeypatch.setattr(dummy, "resolve", slow)

    async def main():
        answer = asyncio.create_task(alookup(LONDON))
        await asyncio.sleep(0)
        loop_went_on.set()
        return await answer

    assert asyncio.run(main()).address == LONDON


@pytest.mark.django_db(transaction=True)
def test_alookup__may_read_the_table(metered):
    row = a_row(LONDON, city="From the row", resolved_at=datetime.now(UTC))
    assert async_to_sync(alookup)(LONDON) == row.to_location()
    assert async_to_sync(alookup_many)([LONDON, UNKNOWN])[UNKNOWN].reason == NOT_FOUND
    assert metered.asked == [UNKNOWN]


# --- many at once ------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("dummy")
def test_lookup__eight_threads_at_once_lose_nothing():
    def work(thread):
        for n in range(40):
            lookup(f"20.{thread}.0.{n}")
            lookup(f"30.0.0.{n}")
        return lookup_many(f"20.{thread}.1.{n}" for n in range(100))

    with ThreadPoolExecutor(8) as pool:
        answered = [address for many in pool.map(work, range(8)) for address in many]
    assert len(answered) == 800
    report = flush_dirty()
    assert (report.pending, report.rejected) == (0, 0)
    assert GeoCache.objects.count() == 8 * 40 + 40 + 800
