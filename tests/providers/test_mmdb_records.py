import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geocache.location import Location, dump_locations, load_locations
from geocache.providers.coercion import MAX_TEXT_LENGTH
from geocache.providers.mmdb import MmdbProvider
from geocache.providers.mmdb_records import FLAT, NESTED, record_fields
from tests.factories import CITY_RECORD, LONDON, an_mmdb

# As they are published: of IPinfo Lite, its older free file, and its standard one; and of
# ip-location-db's city, country and ASN.
IPINFO_LITE = {
    "asn": "AS64500",
    "as_name": "Test Networks",
    "as_domain": "example.net",
    "continent": "Europe",
    "continent_code": "EU",
    "country": "United Kingdom",
    "country_code": "GB",
}
IPINFO_FREE = {
    "asn": "AS64500",
    "as_name": "Test Networks",
    "as_domain": "example.net",
    "continent": "EU",
    "continent_name": "Europe",
    "country": "GB",
    "country_name": "United Kingdom",
}
IPINFO_STANDARD = {
    "city": "Testville",
    "country": "GB",
    "geoname_id": "2643743",
    "lat": "51.5",
    "lng": "-0.125",
    "postal_code": "T1",
    "region": "England",
    "timezone": "Europe/London",
}
LOCATION_DB_CITY = {
    "city": "Testville",
    "country_code": "gb",
    "latitude": 51.5,
    "longitude": -0.125,
    "postcode": "T1",
    "state1": "England",
    "state2": "",
    "timezone": "Europe/London",
}
LOCATION_DB_ASN = {
    "autonomous_system_number": "64500",
    "autonomous_system_organization": "Test Networks",
}
BRITAIN = {"country_code": "GB", "continent_code": "EU"}
PLACE = {
    **BRITAIN,
    "region": "England",
    "city": "Testville",
    "postal_code": "T1",
    "latitude": 51.5,
    "longitude": -0.125,
    "time_zone": "Europe/London",
}
OPERATOR = {"asn": 64500, "organization": "Test Networks"}


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (IPINFO_LITE, {**BRITAIN, **OPERATOR, "domain": "example.net"}),
        (IPINFO_FREE, {**BRITAIN, **OPERATOR, "domain": "example.net"}),
        (IPINFO_STANDARD, PLACE),
        (LOCATION_DB_CITY, PLACE),
        ({"country_code": "GB"}, BRITAIN),
        (LOCATION_DB_ASN, OPERATOR),
        (
            CITY_RECORD,
            {**PLACE, "longitude": -0.1, "accuracy_radius_km": 10, "region_code": "GB-ENG"},
        ),
    ],
    ids=["lite", "free", "standard", "city", "country", "asn", "maxmind"],
)
def test_record_fields__of_each_layout(record, fields):
    assert record_fields(record) == fields


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        ({"asn": 64500}, {"asn": 64500}),
        ({"asn": "64500"}, {"asn": 64500}),
        ({"asn": "AS99999999999"}, {}),
        (
            {"as_domain": "example.net"},
            {"organization": "example.net", "domain": "example.net"},
        ),
        ({"postcode": 12345}, {"postal_code": "12345"}),
        ({"latitude": "north", "lat": "51.5"}, {"latitude": 51.5}),
        ({"latitude": "91", "longitude": float("nan")}, {}),
        ({"country_code": "GBR", "country": "GB"}, BRITAIN),
        ({"country_code": b"GB", "city": b"x"}, {}),
        ({"latitude": 0, "radius": "50"}, {"latitude": 0.0, "accuracy_radius_km": 50}),
        ({"city": "", "asn": None}, {}),
        ({"connection_speed": "56k"}, {}),
    ],
)
def test_record_fields__are_coerced_or_left_out(record, fields):
    assert record_fields(record) == fields


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=MAX_TEXT_LENGTH * 2)
    | st.binary(max_size=8)
    | st.sampled_from(["AS64500", "GB", "51.5", "-0", "1e5", "\0", "\ud800"])
)
KEYS = st.sampled_from(
    [
        *(name for names in FLAT.values() for name in names),
        *NESTED,
        *("names", "en", "iso_code", "code", "autonomous_system_number"),
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@example({"city": "\ud800\0" + "x" * 1000, "latitude": float("nan"), "asn": 2**32})
@example({"city": {"names": {"en": "\ud800\0" + "x" * 1000}}, "location": {"latitude": 1e400}})
@example({"country_code": "\ud800A", "radius": 2**200, "longitude": "-181"})
@given(st.dictionaries(KEYS, VALUES, max_size=12) | VALUES)
def test_record_fields__whatever_a_record_holds_can_be_stored(record):
    location = Location(
        address=LONDON, resolved_at=datetime(2026, 1, 2, tzinfo=UTC), **record_fields(record)
    )
    assert load_locations(dump_locations([location])) == [location]
    # Neither text that PostgreSQL refuses, nor a number that its columns do not take.
    for value in location.to_plain().values():
        if isinstance(value, str):
            assert len(value.encode()) >= len(value)
            assert "\0" not in value
            assert len(value) <= MAX_TEXT_LENGTH
    json.dumps(location.to_plain(), allow_nan=False)
    assert location.latitude is None or -90 <= location.latitude <= 90
    assert location.longitude is None or -180 <= location.longitude <= 180
    assert location.asn is None or 0 <= location.asn < 2**32
    assert location.accuracy_radius_km is None or 0 <= location.accuracy_radius_km < 2**15
    assert location.country_code == "" or len(location.country_code) == 2


# --- files --------------------------------------------------------------------------------------


def a_flat_file(path, network, record, *, ip_version, database_type="Own"):
    return an_mmdb(path, {network: record}, database_type=database_type, ip_version=ip_version)


@pytest.fixture
def flat_files(tmp_path):
    """Places and operators, each in a file for IPv4 and in another for IPv6."""
    records = {"city": LOCATION_DB_CITY, "asn": LOCATION_DB_ASN}
    networks = {4: "81.2.69.0/24", 6: "2a02:6b8::/32"}
    return [
        a_flat_file(
            tmp_path / f"{name}-ipv{version}.mmdb",
            network,
            record,
            ip_version=version,
            database_type=f"{name} of ipv{version}",
        )
        for name, record in records.items()
        for version, network in networks.items()
    ]


@pytest.mark.parametrize(("address", "version"), [(LONDON, 4), ("2a02:6b8::1", 6)])
def test_flat_files__of_either_version_side_by_side_are_merged(flat_files, address, version):
    found = MmdbProvider(flat_files).resolve(address)
    assert {name: getattr(found, name) for name in PLACE | OPERATOR} == PLACE | OPERATOR
    built = "2023-11-14"
    assert found.source == f"city of ipv{version} {built}, asn of ipv{version} {built}"


def test_flat_files__each_is_asked_only_for_what_it_can_know(flat_files):
    nowhere = MmdbProvider(flat_files).resolve("2606:4700::1")
    assert nowhere.reason == "not_found"
    assert "ipv4" not in nowhere.source
    assert "ipv6" not in MmdbProvider(flat_files).resolve("9.9.9.9").source


@pytest.mark.parametrize("database_type", ["", "ipinfo ipinfo_lite.mmdb", "GeoIP2-Precision"])
def test_flat_files__are_known_by_their_fields_whatever_their_type(tmp_path, database_type):
    path = a_flat_file(
        tmp_path / "a.mmdb", "81.2.69.0/24", IPINFO_LITE, ip_version=4, database_type=database_type
    )
    provider = MmdbProvider([path])
    assert provider.check() == []
    assert provider.resolve(LONDON).organization == "Test Networks"


def test_flat_files__of_ipinfo_name_their_source(tmp_path):
    path = a_flat_file(
        tmp_path / "a.mmdb", "81.2.69.0/24", IPINFO_LITE, ip_version=4, database_type="ipinfo lite"
    )
    assert "IPinfo" in MmdbProvider([path]).sources()[0].attribution


@pytest.mark.parametrize("record", [{"x": "y"}, {"city": {}}, {"dom": "a.b"}, "text", [1]])
def test_flat_files__of_no_known_layout_are_one_clear_line(tmp_path, record):
    path = a_flat_file(
        tmp_path / "a.mmdb",
        "81.2.69.0/24",
        record,
        ip_version=4,
        database_type="A city, they say",
    )
    (problem,) = MmdbProvider([path]).check()
    assert problem.startswith(f"{path}: a database of type A city, they say without a field")
    assert "\n" not in problem


@pytest.mark.parametrize(
    "value",
    [
        *("", "x" * 20_000, "a\0b", "AS", "AS1 AS2", "1e999", "-91", "+5", b"\xff", True),
        *(-1, 2**31, 2**100, 1.5, float("nan"), float("inf")),
        *([], ["a", 1], {}, {"names": {"en": 5}}),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_flat_files__a_hostile_value_at_every_name_is_an_answer(tmp_path, value):
    names = {name for names in FLAT.values() for name in names}
    path = a_flat_file(
        tmp_path / "a.mmdb",
        "81.2.69.0/24",
        dict.fromkeys(names, value),
        ip_version=4,
        database_type="GeoLite2-City",
    )
    found = MmdbProvider([path]).resolve(LONDON)
    assert load_locations(dump_locations([found])) == [found]
