import asyncio
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from mmdb_writer import MMDBWriter
from msgspec.structs import replace
from netaddr import IPSet
from structlog.testing import capture_logs

from geocache import conf
from geocache.exceptions import ProviderError
from geocache.location import NOT_FOUND, dump_locations, load_locations
from geocache.providers import mmdb
from geocache.providers.coercion import MAX_TEXT_LENGTH
from geocache.providers.mmdb import MOST_IN_EVENT_LOOP, RECHECK_SECONDS, MmdbProvider
from geocache.providers.mmdb_files import Database
from tests.factories import ASN_RECORD, CITY_RECORD, LONDON, MOSCOW_V6, an_mmdb

NETWORK = "81.2.69.0/24"
NETWORK_V6 = "2a02:6b8::/32"
UNKNOWN = "9.9.9.9"


@pytest.fixture
def city(tmp_path):
    return an_mmdb(tmp_path / "city.mmdb", {NETWORK: CITY_RECORD, NETWORK_V6: CITY_RECORD})


@pytest.fixture
def asn(tmp_path):
    records = {"81.2.69.128/25": ASN_RECORD, "9.9.9.0/24": ASN_RECORD}
    return an_mmdb(tmp_path / "asn.mmdb", records, database_type="GeoLite2-ASN")


def resolve(path, address=LONDON):
    return MmdbProvider([path]).resolve(address)


def a_file_with(tmp_path, record, name="hostile.mmdb"):
    return an_mmdb(tmp_path / name, {NETWORK: record})


def look_again(provider):
    """Let the time pass after which the files are looked at again."""
    provider.rechecked_at -= RECHECK_SECONDS


# --- in an event loop --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "is_in_loop"),
    [(1, True), (MOST_IN_EVENT_LOOP, True), (MOST_IN_EVENT_LOOP + 1, False)],
)
def test_aresolve_into__few_addresses_are_answered_in_the_event_loop(
    city, monkeypatch, count, is_in_loop
):
    provider, addresses = MmdbProvider([city]), [f"81.2.69.{n}" for n in range(count)]
    provider.build()
    threads = threads_of(provider, monkeypatch, addresses)
    assert (threads == {threading.get_ident()}) is is_in_loop


def test_aresolve_into__files_are_opened_in_a_thread(city, monkeypatch):
    provider = MmdbProvider([city])
    assert threading.get_ident() not in threads_of(provider, monkeypatch, [LONDON])
    assert threads_of(provider, monkeypatch, [LONDON]) == {threading.get_ident()}
    look_again(provider)
    assert threading.get_ident() not in threads_of(provider, monkeypatch, [LONDON])


def threads_of(provider, monkeypatch, addresses):
    """Return the threads that have answered."""
    threads, resolve_into = [], provider.resolve_into

    def watched(answers, addresses):
        threads.append(threading.get_ident())
        resolve_into(answers, addresses)

    answers = {}
    with monkeypatch.context() as patch:
        patch.setattr(provider, "resolve_into", watched)
        asyncio.run(provider.aresolve_into(answers, addresses))
    assert [one.city for one in answers.values()] == ["Testville"] * len(addresses)
    return set(threads)


# --- fields ------------------------------------------------------------------------------------


def test_resolve__city(city):
    before = datetime.now(UTC)
    location = resolve(city)
    assert before <= location.resolved_at <= datetime.now(UTC)
    assert location.to_plain() | {"resolved_at": None} == {
        "address": LONDON,
        "resolved_at": None,
        "network": NETWORK,
        "country_code": "GB",
        "region": "England",
        "city": "Testville",
        "postal_code": "T1",
        "latitude": 51.5,
        "longitude": -0.1,
        "accuracy_radius_km": 10,
        "time_zone": "Europe/London",
        "asn": None,
        "organization": "",
        "source": "GeoLite2-City 2023-11-14",
        "reason": "",
        "continent_code": "EU",
        "is_in_european_union": False,
        "registered_country_code": "",
        "region_code": "GB-ENG",
        "subdivisions": [],
        "metro_code": None,
        "traits": [],
        "isp": "",
        "domain": "",
        "connection_type": "",
        "user_type": "",
        "mobile_country_code": "",
        "mobile_network_code": "",
        "details": {},
        "field_sources": {},
        "found": True,
        "stale": False,
    }


def test_resolve__ipv6(city):
    location = resolve(city, MOSCOW_V6)
    assert (location.city, location.network) == ("Testville", NETWORK_V6)


def test_resolve__country(tmp_path):
    record = {"country": {"iso_code": "GB"}}
    path = an_mmdb(tmp_path / "a.mmdb", {NETWORK: record}, database_type="GeoLite2-Country")
    location = resolve(path)
    assert (location.country_code, location.city, location.latitude) == ("GB", "", None)
    assert location


def test_resolve__registered_country_stands_in(tmp_path):
    record = {"registered_country": {"iso_code": "US"}}
    assert resolve(a_file_with(tmp_path, record)).country_code == "US"
    both = {"country": {"iso_code": "GB"}, **record}
    assert resolve(a_file_with(tmp_path, both, "both.mmdb")).country_code == "GB"


def test_resolve__asn(asn):
    location = resolve(asn)
    assert (location.asn, location.organization) == (64500, "Test Networks")
    assert location.network == "81.2.69.128/25"
    assert location.source == "GeoLite2-ASN 2023-11-14"


@pytest.mark.parametrize("database_type", ["GeoIP2-Enterprise", "GeoIP2-Precision-Insights"])
def test_resolve__traits_of_enterprise(tmp_path, database_type):
    traits = {**ASN_RECORD, "isp": "An ISP", "organization": "Customer"}
    record = {**CITY_RECORD, "traits": traits}
    path = an_mmdb(tmp_path / "a.mmdb", {NETWORK: record}, database_type=database_type)
    location = resolve(path)
    assert (location.city, location.asn) == ("Testville", 64500)
    assert location.organization == "Test Networks"


def test_resolve__isp(tmp_path):
    record = {"isp": "An ISP", "organization": "Customer", "autonomous_system_number": 5}
    path = an_mmdb(tmp_path / "a.mmdb", {NETWORK: record}, database_type="GeoIP2-ISP")
    location = resolve(path)
    assert (location.asn, location.organization) == (5, "Customer")


def test_resolve__dbip(tmp_path):
    path = an_mmdb(tmp_path / "dbip.mmdb", {NETWORK: CITY_RECORD}, database_type="DBIP-City-Lite")
    provider = MmdbProvider([path])
    assert provider.resolve(LONDON).city == "Testville"
    (source,) = provider.sources()
    assert source.name == "DBIP-City-Lite"
    assert "DB-IP" in source.attribution


def test_resolve__a_country_code_is_upper_case_and_two_letters(tmp_path):
    for number, (code, expected) in enumerate(
        [("gb", "GB"), ("GBR", ""), ("G", ""), ("É1", ""), ("12", ""), ("ß", ""), ("", "")]
    ):
        record = {"country": {"iso_code": code}, "city": {"names": {"en": "x"}}}
        path = a_file_with(tmp_path, record, f"{number}.mmdb")
        assert resolve(path).country_code == expected


def test_resolve__not_found_says_for_which_network(city):
    location = resolve(city, UNKNOWN)
    assert not location
    assert location.reason == NOT_FOUND
    assert location.network == "0.0.0.0/2"
    assert location.source == "GeoLite2-City 2023-11-14"
    assert location.city == ""


def test_resolve__a_record_without_any_known_field_is_not_found(tmp_path):
    path = a_file_with(tmp_path, {"unheard_of": "x", "city": {}, "location": {}})
    assert resolve(path).reason == NOT_FOUND


def test_resolve__ipv6_in_an_ipv4_only_file_is_not_found_without_a_network(tmp_path):
    path = an_mmdb(tmp_path / "v4.mmdb", {NETWORK: CITY_RECORD}, ip_version=4)
    assert resolve(path).network == NETWORK
    location = resolve(path, MOSCOW_V6)
    assert (location.reason, location.network) == (NOT_FOUND, "")


def test_resolve__ipv4_in_an_ipv6_only_file_is_not_found(tmp_path):
    path = an_mmdb(tmp_path / "v6.mmdb", {NETWORK_V6: CITY_RECORD})
    assert resolve(path).reason == NOT_FOUND
    assert ":" not in resolve(path).network


def test_resolve__mapped_and_tunnelled_networks_never_crash(city):
    for address in ("2002:5102:458e::1", "2001::1", "64:ff9b::5102:458e"):
        assert resolve(city, address).address == address


# --- several addresses --------------------------------------------------------------------------


def test_resolve_many__each_gets_what_it_gets_by_itself(city, asn):
    provider = MmdbProvider([city, asn])
    addresses = [
        *("81.2.69.1", "81.2.69.2", "81.2.69.127", "81.2.69.128", LONDON, "81.2.70.1"),
        *("9.9.8.255", "9.9.9.0", UNKNOWN, MOSCOW_V6, "2a02:6b8::2", "255.255.255.255"),
    ]
    for asked in (addresses, addresses[::-1], random.Random(1).choices(addresses, k=200)):
        answers = provider.resolve_many(asked)
        assert list(answers) == list(dict.fromkeys(asked))
        for address, answer in answers.items():
            alone = provider.resolve(address)
            assert replace(answer, resolved_at=alone.resolved_at) == alone


def test_resolve_many__asks_a_resolve_of_the_projects_own(city):
    class Own(MmdbProvider):
        def resolve(self, address):
            return replace(super().resolve(address), city="here")

    answers = Own([city]).resolve_many([LONDON, MOSCOW_V6])
    assert [one.city for one in answers.values()] == ["here", "here"]


def test_resolve_many__a_network_is_read_once_for_its_neighbours(city, monkeypatch):
    provider = MmdbProvider([city])
    searched, search = [], Database.search

    def watched(self, address):
        searched.append(address)
        return search(self, address)

    monkeypatch.setattr(Database, "search", watched)
    provider.resolve_many(["81.2.69.1", "81.2.69.2", MOSCOW_V6, "81.2.69.3", "81.2.70.1"])
    assert searched == ["81.2.69.1", MOSCOW_V6, "81.2.69.3", "81.2.70.1"]


def test_resolve_many__one_that_fails_leaves_the_others(city, monkeypatch):
    search = Database.search

    def failing(self, address):
        if address == UNKNOWN:
            raise ProviderError("damaged")
        return search(self, address)

    monkeypatch.setattr(Database, "search", failing)
    provider = MmdbProvider([city])
    answers = provider.resolve_many(["81.2.69.1", UNKNOWN, "81.2.69.2"])
    assert [*answers] == ["81.2.69.1", "81.2.69.2"]
    with pytest.raises(ProviderError, match="damaged"):
        provider.resolve_many([UNKNOWN])


# --- several files -----------------------------------------------------------------------------


def test_resolve_several__each_gives_what_it_knows_for_the_narrowest_network(city, asn):
    location = MmdbProvider([city, asn]).resolve(LONDON)
    assert (location.city, location.asn) == ("Testville", 64500)
    assert location.network == "81.2.69.128/25"
    assert location.source == "GeoLite2-City 2023-11-14, GeoLite2-ASN 2023-11-14"


def test_resolve_several__the_first_that_knows_a_field_wins(tmp_path, city):
    other = {"city": {"names": {"en": "Elsewhere"}}, "country": {"iso_code": "FR"}, **ASN_RECORD}
    second = a_file_with(tmp_path, other)
    assert MmdbProvider([city, second]).resolve(LONDON).city == "Testville"
    first = MmdbProvider([second, city]).resolve(LONDON)
    assert (first.city, first.country_code, first.region) == ("Elsewhere", "FR", "England")


def test_resolve_several__a_miss_in_one_narrows_the_network_too(city, asn):
    """Beside the operator's network nothing is known of the operator: that holds only there."""
    location = MmdbProvider([city, asn]).resolve("81.2.69.1")
    assert (location.city, location.asn) == ("Testville", None)
    assert location.network == "81.2.69.0/25"
    assert location.source == "GeoLite2-City 2023-11-14"


def test_resolve_several__not_found_in_all_names_them_all(city, asn):
    location = MmdbProvider([city, asn]).resolve("20.0.0.1")
    assert location.reason == NOT_FOUND
    assert location.source == "GeoLite2-City 2023-11-14, GeoLite2-ASN 2023-11-14"


def test_resolve_several__an_ipv4_only_file_leaves_ipv6_to_the_others(tmp_path, city):
    v4 = an_mmdb(
        tmp_path / "v4.mmdb", {NETWORK: ASN_RECORD}, ip_version=4, database_type="GeoLite2-ASN"
    )
    provider = MmdbProvider([v4, city])
    assert provider.resolve(MOSCOW_V6).network == NETWORK_V6
    assert provider.resolve(LONDON).asn == 64500


@pytest.mark.slow
def test_resolve_several__sources_of_many_files_fit_their_column(tmp_path):
    paths = [
        an_mmdb(
            tmp_path / f"{n}.mmdb",
            {"9.9.9.0/24": CITY_RECORD},
            database_type=f"Number-{n}-City-with-a-rather-long-name",
        )
        for n in range(9)
    ]
    assert len(MmdbProvider(paths).resolve(LONDON).source) <= MAX_TEXT_LENGTH


# --- damage ------------------------------------------------------------------------------------


def assert_unusable(path, *words):
    provider = MmdbProvider([path])
    for ask in (provider.build, provider.sources, lambda: provider.resolve(LONDON)):
        with pytest.raises(ProviderError) as failure:
            ask()
        message = str(failure.value)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        assert all(word in message for word in words)
    (problem,) = provider.check()
    assert problem == message


def test_unusable__missing(tmp_path):
    assert_unusable(tmp_path / "none.mmdb", "No such file")


def test_unusable__a_folder(tmp_path):
    assert_unusable(tmp_path)


def test_unusable__a_path_through_a_file(city):
    assert_unusable(city / "below.mmdb", "Not a directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unusable__unreadable(city):
    city.chmod(0)
    assert_unusable(city)


@pytest.mark.parametrize("size", [0, 1, 10, 100, 1000])
def test_unusable__random_bytes(tmp_path, size):
    path = tmp_path / "random.mmdb"
    path.write_bytes(random.Random(size).randbytes(size))
    assert_unusable(path, "not a readable MaxMind DB file")


def test_unusable__text(tmp_path):
    path = tmp_path / "page.mmdb"
    path.write_text("<!doctype html><title>Log in</title>" * 100)
    assert_unusable(path, "not a readable MaxMind DB file")


@pytest.mark.slow
def test_unusable__random_bytes_behind_the_marker_of_the_metadata(tmp_path):
    for seed in range(20):
        path = tmp_path / "marked.mmdb"
        noise = random.Random(seed).randbytes(200)
        path.write_bytes(noise + b"\xab\xcd\xefMaxMind.com" + noise)
        with pytest.raises(ProviderError):
            MmdbProvider([path]).build()


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_unusable__truncated(city, kept):
    data = city.read_bytes()
    city.write_bytes(data[: int(len(data) * kept)])
    assert_unusable(city)


@pytest.mark.parametrize(
    "database_type", ["GeoIP2-Connection-Type", "GeoIP2-Domain", "GeoIP2-Anonymous-IP", "", "Own"]
)
def test_unusable__a_database_of_another_type(tmp_path, database_type):
    path = an_mmdb(tmp_path / "a.mmdb", {NETWORK: {"x": "y"}}, database_type=database_type)
    assert_unusable(path, "without a field that is known")


@pytest.mark.slow
def test_damaged__metadata_never_crashes(city):
    """Bytes of the metadata, changed: the file is read as it is or refused in one line."""
    data = city.read_bytes()
    start = data.rindex(b"MaxMind.com")
    numbers = random.Random(3)
    for position in range(start, len(data), 5):
        changed = bytearray(data)
        changed[position] ^= 1 << numbers.randrange(8)
        answer_or_refusal(city, bytes(changed))


@pytest.mark.slow
def test_damaged__tree_and_records_never_crash(tmp_path):
    """Of these files the C reader of maxminddb 3.2 crashes on one in forty."""
    networks = {f"20.{n}.0.0/16": a_city(f"Town {n}" * (n % 7 + 1)) for n in range(40)}
    path = an_mmdb(tmp_path / "towns.mmdb", {NETWORK: CITY_RECORD, **networks})
    data = path.read_bytes()
    end = data.rindex(b"MaxMind.com")
    numbers = random.Random(4)
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(numbers.choice([1, 2, 3, 4, 50])):
            changed[numbers.randrange(end)] = numbers.randrange(256)
        answer_or_refusal(path, bytes(changed))


def a_city(name):
    return {**CITY_RECORD, "city": {"names": {"en": name}}}


def answer_or_refusal(path, data):
    path.unlink()
    path.write_bytes(data)
    try:
        provider = MmdbProvider([path])
        provider.build()
    except ProviderError:
        return
    # What was verified can be asked for any address.
    for address in (LONDON, MOSCOW_V6, "::", "::ffff:1", *(f"20.{n}.0.1" for n in range(40))):
        location = provider.resolve(address)
        assert load_locations(dump_locations([location])) == [location]


def test_damaged__body_is_a_failure_and_not_an_answer(city):
    data = bytearray(city.read_bytes())
    tree_end = data.index(b"\0" * 16)
    for position in range(tree_end + 16, data.rindex(b"\xab\xcd\xefMaxMind.com")):
        data[position] = 0xFF
    city.write_bytes(data)
    with pytest.raises(ProviderError, match="damaged"):
        resolve(city)


# --- hostile records ---------------------------------------------------------------------------

ANYTHING = [
    "",
    "text",
    "x" * 50_000,
    "a\0b",
    0,
    -1,
    2**31,
    2**64 - 1,
    2**100,
    1.5,
    float("nan"),
    float("inf"),
    float("-inf"),
    True,
    False,
    [],
    ["a", 1],
    [[["deep"]]],
    {},
    {"names": "text"},
    {"names": {"en": 5}},
    {"names": {"en": ["x"]}},
    {"names": ["en"]},
    {"iso_code": 5},
    {"code": {}},
    {"latitude": "51", "longitude": [], "accuracy_radius": 1.5, "time_zone": 5},
    {"latitude": float("nan"), "longitude": float("inf"), "accuracy_radius": -1},
    {"latitude": 91, "longitude": -181, "accuracy_radius": 2**15},
    {"latitude": True, "longitude": False, "accuracy_radius": True},
    {"autonomous_system_number": "5", "autonomous_system_organization": 5},
    {"autonomous_system_number": 2**32, "autonomous_system_organization": []},
]


@pytest.mark.parametrize("value", ANYTHING, ids=lambda value: repr(value)[:40])
def test_hostile__any_type_anywhere_is_an_answer_without_it(tmp_path, value):
    fields = (
        "city",
        "country",
        "registered_country",
        "subdivisions",
        "location",
        "postal",
        "traits",
        "autonomous_system_number",
        "autonomous_system_organization",
        "organization",
    )
    location = resolve(a_file_with(tmp_path, dict.fromkeys(fields, value)))
    assert load_locations(dump_locations([location])) == [location]
    for name, field in location.to_plain().items():
        assert not isinstance(field, str) or len(field) <= MAX_TEXT_LENGTH, name
        assert not isinstance(field, str) or "\0" not in field, name
    assert location.latitude is None or -90 <= location.latitude <= 90
    assert location.longitude is None or -180 <= location.longitude <= 180
    assert location.asn is None or 0 <= location.asn < 2**32
    assert location.accuracy_radius_km is None or 0 <= location.accuracy_radius_km < 2**15


@pytest.mark.parametrize("record", ["text", 5, [], [CITY_RECORD], True, 1.5], ids=repr)
def test_hostile__a_record_that_is_no_dict_is_not_found(tmp_path, record):
    assert resolve(a_file_with(tmp_path, record)).reason == NOT_FOUND


def test_hostile__limits_themselves_are_kept(tmp_path):
    location = {"latitude": -90, "longitude": 180.0, "accuracy_radius": 2**15 - 1}
    record = {"location": location, "autonomous_system_number": 2**32 - 1}
    found = resolve(a_file_with(tmp_path, record))
    assert (found.latitude, found.longitude) == (-90.0, 180.0)
    assert (found.accuracy_radius_km, found.asn) == (2**15 - 1, 2**32 - 1)


def test_hostile__a_zero_is_an_answer(tmp_path):
    equator = {"latitude": 0.0, "longitude": 0.0}
    found = resolve(a_file_with(tmp_path, {"location": equator}))
    assert (found.latitude, found.longitude) == (0.0, 0.0)
    assert found
    # In a file of its own: the writer stores equal values once, and 0 equals 0.0.
    exact = a_file_with(tmp_path, {"location": {"accuracy_radius": 0}}, "exact.mmdb")
    assert resolve(exact).accuracy_radius_km == 0


def test_hostile__a_megabyte_of_city_is_cut_and_a_nul_dropped(tmp_path):
    record = {"city": {"names": {"en": "a\0" * 450_000}}}
    assert resolve(a_file_with(tmp_path, record)).city == "a" * MAX_TEXT_LENGTH


def test_hostile__a_record_beyond_the_limits_of_the_reader_is_a_failure(tmp_path):
    many = {f"field {n}": "x" * 100_000 for n in range(100)}
    with pytest.raises(ProviderError):
        resolve(a_file_with(tmp_path, many))


# --- which files -------------------------------------------------------------------------------


def test_files__with_nothing_configured_the_fallback_answers_and_says_so(settings, tmp_path):
    settings.GEOCACHE = {"VAR_DIR": tmp_path}
    provider = MmdbProvider()
    (source,) = provider.sources()
    assert source.is_fallback
    assert source.name == "GeoLite2-City"
    assert source.age_days() > 2000
    assert "MaxMind" in source.attribution
    assert provider.resolve("8.8.8.8").country_code == "US"
    assert provider.check() == []


def test_files__those_in_var_dir_are_preferred_to_the_fallback(settings, tmp_path):
    settings.GEOCACHE = {"VAR_DIR": tmp_path}
    (tmp_path / "databases").mkdir()
    an_mmdb(tmp_path / "databases/b.mmdb", {NETWORK: ASN_RECORD}, database_type="GeoLite2-ASN")
    an_mmdb(tmp_path / "databases/a.mmdb", {NETWORK: CITY_RECORD})
    (tmp_path / "databases/c.mmdb.part").write_text("half a download")
    provider = MmdbProvider()
    assert [str(source) for source in provider.sources()] == [
        "GeoLite2-City 2023-11-14",
        "GeoLite2-ASN 2023-11-14",
    ]
    assert not any(source.is_fallback for source in provider.sources())


def test_files__those_configured_are_preferred_to_var_dir(settings, tmp_path, city):
    (tmp_path / "databases").mkdir()
    an_mmdb(tmp_path / "databases/a.mmdb", {NETWORK: ASN_RECORD}, database_type="GeoLite2-ASN")
    settings.GEOCACHE = {"VAR_DIR": tmp_path, "DATABASES": [str(city)]}
    assert [source.name for source in MmdbProvider().sources()] == ["GeoLite2-City"]


def test_files__one_configured_and_missing_is_never_replaced_by_the_fallback(settings, tmp_path):
    settings.GEOCACHE = {"VAR_DIR": tmp_path, "DATABASES": [str(tmp_path / "none.mmdb")]}
    with pytest.raises(ProviderError):
        MmdbProvider().build()


def test_files__without_the_fallback_package_it_says_what_to_do(settings, tmp_path, monkeypatch):
    settings.GEOCACHE = {"VAR_DIR": tmp_path}
    monkeypatch.setattr(mmdb, "FALLBACK_PACKAGE", "_no_such_package")
    mmdb.fallback_path.cache_clear()
    try:
        provider = MmdbProvider()
        with pytest.raises(ProviderError, match="GEOCACHE_DATABASES"):
            provider.build()
        assert "GEOCACHE_DATABASES" in " ".join(provider.check())
    finally:
        mmdb.fallback_path.cache_clear()


def test_files__check_names_each_that_cannot_be_used(city, tmp_path):
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(b"x")
    problems = MmdbProvider([broken, city, tmp_path / "none.mmdb"]).check()
    assert len(problems) == 2
    assert str(broken) in problems[0]
    assert "none.mmdb" in problems[1]


# --- replaced files ----------------------------------------------------------------------------


def replace_by(path, record, build_epoch):
    """As an updater does: written beside it, then renamed over it."""
    fresh = an_mmdb(path.with_suffix(".new"), {NETWORK: record}, build_epoch=build_epoch)
    fresh.replace(path)


def test_replaced__the_newer_file_answers_after_a_while_under_another_build(city):
    provider = MmdbProvider([city])
    old_build = provider.build()
    replace_by(city, {"city": {"names": {"en": "Newtown"}}}, 1_800_000_000)
    assert provider.build() == old_build
    assert provider.resolve(LONDON).city == "Testville"
    look_again(provider)
    assert provider.build() != old_build
    assert provider.resolve(LONDON).city == "Newtown"
    assert str(provider.sources()[0]) == "GeoLite2-City 2027-01-15"


def test_replaced__a_file_that_stays_is_not_opened_again(city):
    provider = MmdbProvider([city])
    before = provider.opened()
    look_again(provider)
    assert provider.opened()[0] is before[0]


@pytest.mark.parametrize("content", [b"", b"broken" * 100])
def test_replaced__by_a_broken_one_the_old_one_goes_on_answering(city, content):
    provider = MmdbProvider([city])
    build = provider.build()
    broken = city.with_suffix(".new")
    broken.write_bytes(content)
    broken.replace(city)
    with capture_logs() as logs:
        for _ in range(2):
            look_again(provider)
            assert provider.resolve(LONDON).city == "Testville"
            assert provider.build() == build
    # Once, however often it is looked at.
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("geo_database_not_reopened", "error")
    ]
    replace_by(city, {"city": {"names": {"en": "Mended"}}}, 1_800_000_000)
    look_again(provider)
    assert provider.resolve(LONDON).city == "Mended"


def test_replaced__by_nothing_the_old_one_goes_on_answering(city):
    provider = MmdbProvider([city])
    provider.build()
    city.unlink()
    look_again(provider)
    with capture_logs():
        assert provider.resolve(LONDON).city == "Testville"


def test_replaced__a_file_that_appears_later_is_found_without_waiting(city):
    away = city.with_suffix(".away")
    city.rename(away)
    provider = MmdbProvider([city])
    with pytest.raises(ProviderError):
        provider.resolve(LONDON)
    away.rename(city)
    assert provider.resolve(LONDON).city == "Testville"


@pytest.mark.slow
def test_replaced__threads_that_ask_meanwhile_always_get_an_answer(city):
    provider = MmdbProvider([city])
    provider.build()
    is_done = threading.Event()

    def ask():
        cities = set()
        while not is_done.is_set():
            cities.add(provider.resolve(LONDON).city)
        return cities

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        for n in range(5):
            replace_by(city, {"city": {"names": {"en": f"Town {n}"}}}, 1_700_000_001 + n)
            look_again(provider)
            provider.build()
        is_done.set()
        seen = set().union(*(one.result() for one in asking))
    assert seen <= {"Testville", *(f"Town {n}" for n in range(5))}


def test_resolve__types_of_numbers_that_a_writer_may_choose(tmp_path):
    """An integer where a float is usual, as some writers make it."""
    writer = MMDBWriter(ip_version=4, database_type="GeoLite2-City", int_type="u16")
    record = {"location": {"latitude": 51, "longitude": 1}, "autonomous_system_number": 7}
    writer.insert_network(IPSet([NETWORK]), record)
    path = tmp_path / "ints.mmdb"
    writer.to_db_file(str(path))
    location = resolve(path)
    assert (location.latitude, location.longitude, location.asn) == (51.0, 1.0, 7)
    assert isinstance(location.latitude, float)


@pytest.mark.parametrize("build_epoch", [2**40, 2**56, 2**63, 2**64 - 1])
def test_damaged__a_build_day_beyond_the_calendar_is_refused(city, build_epoch):
    data = city.read_bytes()
    end = data.rindex(b"build_epoch") + len(b"build_epoch")
    eight_bytes_of_uint64 = b"\x08\x02"
    city.write_bytes(data[:end] + eight_bytes_of_uint64 + build_epoch.to_bytes(8, "big"))
    assert_unusable(city, "not a readable MaxMind DB file")


def test_replaced__every_process_answers_from_the_newer_file_within_a_minute():
    """The longest way: just missed by the last look, and by the last answer of the memory."""
    assert RECHECK_SECONDS + conf.DEFAULTS["MEMORY_TTL_SECONDS"] <= 60
