"""What a look-up gives for each product: files with the field names that their makers publish."""

import json

import pytest

from geocache.location import Location, Subdivision, dump_locations, load_locations
from geocache.models.answers import row_of
from geocache.providers.merging import said_fields
from geocache.providers.mmdb import MmdbProvider
from geocache.providers.mmdb_records import FLAT, NESTED, record_fields
from geocache.providers.network_kinds import BARE_FLAGS, DETAILS
from geocache.traits import MAX_COUNT, MAX_LENGTH
from tests.factories import CITY_RECORD, LONDON, NOON, an_mmdb
from tests.support.records import in_every_field

NETWORK = "81.2.69.128/25"
EUROPE = {"code": "EU", "geoname_id": 6255148, "names": {"en": "Europe", "de": "Europa"}}
PLACE = {
    "country_code": "GB",
    "continent_code": "EU",
    "region": "England",
    "region_code": "GB-ENG",
    "city": "Boxford",
    "postal_code": "OX1",
    "latitude": 51.75,
    "longitude": -1.25,
    "accuracy_radius_km": 100,
    "time_zone": "Europe/London",
}
# As MaxMind publishes them: https://dev.maxmind.com/geoip/docs/databases/.
CITY = {
    "city": {"geoname_id": 2655045, "names": {"en": "Boxford"}},
    "continent": EUROPE,
    "country": {"geoname_id": 2635167, "iso_code": "GB", "names": {"en": "United Kingdom"}},
    "location": {
        "accuracy_radius": 100,
        "latitude": 51.75,
        "longitude": -1.25,
        "time_zone": "Europe/London",
    },
    "postal": {"code": "OX1"},
    "registered_country": {
        "geoname_id": 3017382,
        "is_in_european_union": True,
        "iso_code": "FR",
        "names": {"en": "France"},
    },
    "subdivisions": [
        {"geoname_id": 6269131, "iso_code": "ENG", "names": {"en": "England"}},
        {"geoname_id": 3333217, "iso_code": "WBK", "names": {"en": "West Berkshire"}},
    ],
}
SUBDIVISIONS = (Subdivision("GB-ENG", "England"), Subdivision("GB-WBK", "West Berkshire"))
CITY_FIELDS = {**PLACE, "registered_country_code": "FR", "subdivisions": SUBDIVISIONS}
TRAITS = {
    "autonomous_system_number": 22,
    "autonomous_system_organization": "DNIC-AS-00022",
    "connection_type": "Cable/DSL",
    "domain": "navy.mil",
    "is_anycast": True,
    "is_legitimate_proxy": True,
    "isp": "US Department of Defense",
    "mobile_country_code": "310",
    "mobile_network_code": "004",
    "organization": "DNIC",
    "static_ip_score": 2.82,
    "user_type": "military",
}
TRAIT_FIELDS = {
    "asn": 22,
    "organization": "DNIC-AS-00022",
    "isp": "US Department of Defense",
    "domain": "navy.mil",
    "connection_type": "Cable/DSL",
    "user_type": "military",
    "mobile_country_code": "310",
    "mobile_network_code": "004",
    "traits": ("anycast", "legitimate_proxy"),
}
ENTERPRISE = {
    **CITY,
    "city": {**CITY["city"], "confidence": 50},
    "country": {**CITY["country"], "confidence": 95},
    "postal": {"code": "OX1", "confidence": 20},
    "subdivisions": [
        {**part, "confidence": confidence}
        for part, confidence in zip(CITY["subdivisions"], (70, 60), strict=True)
    ],
    "location": {**CITY["location"], "metro_code": 825},
    "represented_country": {"iso_code": "US", "type": "military", "names": {"en": "x"}},
    "traits": TRAITS,
}
VPN = {"is_anonymous": True, "is_anonymous_vpn": True}
ALL_FLAGS = {
    **VPN,
    "is_hosting_provider": True,
    "is_public_proxy": True,
    "is_residential_proxy": True,
    "is_tor_exit_node": True,
}
ALL_TRAITS = (
    *("anonymous", "anonymous_vpn", "hosting_provider", "public_proxy", "residential_proxy"),
    "tor_exit_node",
)
SEEN = {
    "anonymizer_confidence": 99,
    "network_last_seen": "2025-04-14",
    "provider_name": "foo",
}
VPN_TRAITS = ("anonymous", "anonymous_vpn")
# https://ipinfo.io/developers/: files, with a value at each name.
IPINFO_CORE = {
    "city": "Boxford",
    "region": "England",
    "region_code": "ENG",
    "country": "United Kingdom",
    "country_code": "GB",
    "continent": "Europe",
    "continent_code": "EU",
    "latitude": "51.75",
    "longitude": "-1.25",
    "timezone": "Europe/London",
    "postal_code": "OX1",
    "asn": "AS64500",
    "as_name": "Test Networks",
    "as_domain": "example.net",
    "as_type": "hosting",
    "is_anonymous": "false",
    "is_anycast": "true",
    "is_hosting": "true",
    "is_mobile": "",
    "is_satellite": False,
}
IPINFO_FIELDS = {
    **{name: value for name, value in PLACE.items() if name != "accuracy_radius_km"},
    "asn": 64500,
    "organization": "Test Networks",
    "domain": "example.net",
    "user_type": "hosting",
    "traits": ("anycast", "hosting_provider"),
}
IPINFO_PLUS = {
    **IPINFO_CORE,
    "dma_code": "825",
    "radius": "100",
    "mobile_name": "Carrier",
    "mcc": "310",
    "mnc": "00",
    "is_anonymous": True,
    "is_vpn": True,
    "is_proxy": False,
    "is_relay": True,
    "is_tor": False,
    "geo_changed": "2025-01-05",
    "as_changed": "2024-11-30",
}
IP2PROXY = {
    "country_code": "GB",
    "region_name": "England",
    "city_name": "Boxford",
    "isp": "Test ISP",
    "domain": "example.net",
    "usage_type": "DCH",
    "asn": "64500",
    "as_name": "Test Networks",
    "last_seen": 7,
    "threat": "SPAM",
    "provider": "A VPN",
    "fraud_score": 70,
}
IP2PROXY_FIELDS = {
    "country_code": "GB",
    "continent_code": "EU",
    "region": "England",
    "city": "Boxford",
    "isp": "Test ISP",
    "domain": "example.net",
    "user_type": "hosting",
    "asn": 64500,
    "organization": "Test Networks",
    "details": {"last_seen": 7, "threat": "SPAM", "provider_name": "A VPN", "fraud_score": 70},
}
PRODUCTS = [
    ("GeoLite2-Country", {name: CITY[name] for name in ("continent", "country")}, None),
    ("GeoIP2-City", CITY, CITY_FIELDS),
    ("GeoIP2-City-Shield", CITY, CITY_FIELDS),
    (
        "GeoIP2-Enterprise",
        ENTERPRISE,
        {
            **CITY_FIELDS,
            **TRAIT_FIELDS,
            "metro_code": 825,
            "details": {
                "static_ip_score": 2.82,
                "represented_country_code": "US",
                "represented_country_type": "military",
                "city_confidence": 50,
                "country_confidence": 95,
                "postal_confidence": 20,
                "subdivision_confidence": 70,
                "subdivision_2_confidence": 60,
            },
        },
    ),
    (
        "GeoIP2-ISP",
        {name: TRAITS[name] for name in ("isp", "organization", "mobile_network_code")},
        {
            "isp": "US Department of Defense",
            "organization": "DNIC",
            "mobile_network_code": "004",
        },
    ),
    ("GeoLite2-ASN", {"autonomous_system_number": 237}, {"asn": 237}),
    ("GeoIP2-Anonymous-IP", ALL_FLAGS, {"traits": ALL_TRAITS}),
    ("GeoIP-Anonymous-Plus", {**VPN, **SEEN}, {"traits": VPN_TRAITS, "details": SEEN}),
    ("GeoIP-Residential-Proxy", SEEN, {"traits": ("residential_proxy",), "details": SEEN}),
    (
        "GeoIP-Residential-Proxy",
        {"provider_name": "anyip", "network_last_seen": "2026-02-19"},
        {
            "traits": ("residential_proxy",),
            "details": {"provider_name": "anyip", "network_last_seen": "2026-02-19"},
        },
    ),
    ("GeoIP2-Connection-Type", {"connection_type": "Cellular"}, {"connection_type": "Cellular"}),
    ("GeoIP2-Domain", {"domain": "example.com"}, {"domain": "example.com"}),
    (
        "GeoIP2-IP-Risk",
        {"ip_risk": 50.0, **VPN, **SEEN},
        {"traits": VPN_TRAITS, "details": {"ip_risk": 50.0, **SEEN}},
    ),
    ("GeoIP2-IP-Risk", {"ip_risk": 85.0}, {"details": {"ip_risk": 85.0}}),
    ("GeoIP2-Static-IP-Score", {"score": 4.26}, {"details": {"static_ip_score": 4.26}}),
    (
        "GeoIP2-User-Count",
        {"ipv4_24": 4, "ipv4_32": 0},
        {"details": {"ipv4_24": 4, "ipv4_32": 0}},
    ),
    (
        "GeoIP2-DensityIncome",
        {"average_income": 24626, "population_density": 1341},
        {"details": {"average_income": 24626, "population_density": 1341}},
    ),
    # https://db-ip.com/db/format/: their layout is MaxMind's.
    (
        "DBIP-City-Lite",
        {
            "city": {"names": {"en": "Boxford"}},
            "continent": EUROPE,
            "country": {"iso_code": "GB", "is_in_european_union": False},
            "location": {"latitude": 51.75, "longitude": -1.25},
            "subdivisions": [{"names": {"en": "England"}}],
        },
        {
            name: PLACE[name]
            for name in (
                *("country_code", "continent_code", "region", "city", "latitude", "longitude"),
            )
        },
    ),
    (
        "DBIP-Location-ISP (compat=City)",
        {**CITY, "traits": {**TRAITS, "user_type": "hosting"}},
        {
            **CITY_FIELDS,
            **TRAIT_FIELDS,
            "user_type": "hosting",
            "details": {"static_ip_score": 2.82},
        },
    ),
    (
        "ipinfo generic_lite.mmdb",
        {
            "asn": "AS64500",
            "as_name": "Test Networks",
            "as_domain": "example.net",
            "continent": "Europe",
            "continent_code": "EU",
            "country": "Germany",
            "country_code": "DE",
        },
        {
            "asn": 64500,
            "organization": "Test Networks",
            "domain": "example.net",
            "country_code": "DE",
            "continent_code": "EU",
            "is_in_european_union": True,
        },
    ),
    ("ipinfo core.mmdb", IPINFO_CORE, IPINFO_FIELDS),
    (
        "ipinfo plus.mmdb",
        IPINFO_PLUS,
        {
            **IPINFO_FIELDS,
            "accuracy_radius_km": 100,
            "metro_code": 825,
            "mobile_country_code": "310",
            "mobile_network_code": "00",
            "traits": (*("anonymous", "anonymous_vpn", "anycast", "hosting_provider", "relay"),),
            "details": {
                "carrier": "Carrier",
                "geo_changed": "2025-01-05",
                "as_changed": "2024-11-30",
            },
        },
    ),
    (
        "ipinfo privacy.mmdb",
        {
            "vpn": "true",
            "proxy": "",
            "tor": "false",
            "relay": "true",
            "hosting": "true",
            "service": "A VPN",
        },
        {
            "traits": ("anonymous_vpn", "hosting_provider", "relay"),
            "details": {"provider_name": "A VPN"},
        },
    ),
    (
        "ip-location-db city",
        {
            "city": "Boxford",
            "country_code": "GB",
            "latitude": 51.75,
            "longitude": -1.25,
            "postcode": "OX1",
            "state1": "England",
            "state2": "West Berkshire",
            "timezone": "Europe/London",
        },
        {
            **{
                name: value
                for name, value in PLACE.items()
                if name not in ("region_code", "accuracy_radius_km")
            },
            "subdivisions": (Subdivision("", "England"), Subdivision("", "West Berkshire")),
        },
    ),
    (
        "IP2Proxy-PX12",
        {**IP2PROXY, "proxy_type": "VPN"},
        {**IP2PROXY_FIELDS, "traits": ("anonymous_vpn",)},
    ),
    # Of a kind that is not known here.
    (
        "Own",
        {"is_crawler": True, "is_moon_base": "true", "country_code": "FR"},
        {
            "traits": ("crawler", "moon_base"),
            "country_code": "FR",
            "continent_code": "EU",
            "is_in_european_union": True,
        },
    ),
    # One field is enough.
    ("GeoIP2-City", {"continent": EUROPE}, {"continent_code": "EU"}),
    ("GeoIP2-Enterprise", {"traits": {"is_anycast": True}}, {"traits": ("anycast",)}),
    ("GeoIP2-Enterprise", {"traits": {"user_type": "cafe"}}, {"user_type": "cafe"}),
]


@pytest.mark.parametrize(("database_type", "record", "fields"), PRODUCTS)
def test_product__a_lookup_gives_all_that_it_states(tmp_path, database_type, record, fields):
    fields = fields or {"country_code": "GB", "continent_code": "EU"}
    path = an_mmdb(tmp_path / "a.mmdb", {NETWORK: record}, database_type=database_type)
    provider = MmdbProvider([path])
    found = provider.resolve(LONDON)
    assert said_fields(found) == fields
    assert found
    assert (found.network, found.given_by) == (NETWORK, "")
    assert set(provider.sources()[0].fields) == set(fields)
    assert load_locations(dump_locations([found])) == [found]


def test_product__most_of_its_records_may_be_empty(tmp_path):
    records = {f"1.{n >> 8}.{n & 255}.0/24": {} for n in range(0, 2000, 2)} | {NETWORK: VPN}
    path = an_mmdb(tmp_path / "a.mmdb", records, database_type="GeoIP-Anonymous-Plus")
    provider = MmdbProvider([path])
    assert provider.check() == []
    assert provider.sources()[0].fields == ("traits",)
    assert provider.resolve("1.0.0.1").reason == "not_found"


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        *(("VPN", "anonymous_vpn"), ("TOR", "tor_exit_node"), ("DCH", "hosting_provider")),
        *(("PUB", "public_proxy"), ("WEB", "web_proxy"), ("RES", "residential_proxy")),
        *(("SES", "search_engine_spider"), ("CPN", "consumer_privacy_network")),
        *(("EPN", "enterprise_private_network"), ("XYZ", "xyz")),
    ],
)
def test_product__of_ip2proxy_has_a_label_for_each_kind(kind, label):
    assert record_fields({"proxy_type": kind}) == {"traits": (label,)}


@pytest.mark.parametrize(
    "record",
    [
        *({"proxy_type": "-"}, {"is_proxy": 0}, {"vpn": "maybe"}, {"is_vpn": None}),
        *({"is_anonymous": "false"}, {"is_x": []}, {"is_": True}, {"is_" + "x" * 41: True}),
        *({"is_in_european_union": False}, {"is_a b": True}, {"is_é": True}, {"is_bogon": True}),
        *({"traits": {"is_anycast": "no"}}, {"usage_type": "RSV"}, {"mcc": "-"}, {"score": None}),
        *({"continent": {"code": "XX"}}, {"region_code": "ENG"}, {"dma_code": 0}),
    ],
    ids=repr,
)
def test_record_fields__what_says_nothing_is_nothing(record):
    assert record_fields(record) == {}


@pytest.mark.parametrize(
    ("country", "code", "expected"),
    [
        *(("GB", "ENG", "GB-ENG"), ("GB", "gb-eng", "GB-ENG"), ("DE", "09", "")),
        *(("US", "CA", "US-CA"), ("GB", "US-CA", ""), ("GB", "ENGLAND", ""), ("GB", 5, "")),
        *(("FR", " idf ", "FR-IDF"), ("", "ENG", ""), ("", "GB-ENG", "GB-ENG")),
    ],
)
def test_record_fields__region_codes_are_those_of_iso_3166_2(country, code, expected):
    if code == "09":
        expected = "DE-09"
    nested = {"country": {"iso_code": country}, "subdivisions": [{"iso_code": code}]}
    flat = {"country_code": country, "region_code": code}
    assert [record_fields(one).get("region_code", "") for one in (nested, flat)] == [expected] * 2


def test_record_fields__labels_are_sorted_and_bounded():
    flags = {f"is_label_{n:02}": True for n in range(99)} | {"is_tor_exit_node": True}
    traits = record_fields(flags)["traits"]
    assert len(traits) == MAX_COUNT
    assert list(traits) == sorted(traits)
    # Of too many those that are known stay.
    assert "tor_exit_node" in traits
    longest = "x" * MAX_LENGTH
    assert record_fields({f"is_{longest}": True}) == {"traits": (longest,)}


def test_record_fields__nested_and_flat_at_once():
    record = {**CITY_RECORD, "is_anycast": True, "isp": "An ISP", "asn": "AS64500"}
    found = record_fields(record)
    assert found["city"] == "Testville"
    assert (found["traits"], found["isp"], found["asn"]) == (("anycast",), "An ISP", 64500)


# --- bad input -----------------------------------------------------------------------------------

WRONG = [
    *(2**31, 2**53, 2**63, 2**64 - 1, 2**100, 10**4000, -1, -(2**70), 1.5, 1e308),
    *(float("nan"), float("inf"), float("-inf"), True, False, None, 0, -0.0, ""),
    *("x" * 70_000, "a\0b", "\ud800", "\udfffx", "AS", "1e999", "-91", "true" * 50, "é" * 300),
    *([], [[]], ["a", 1], [{"names": {"en": "x"}}], {}, {"a": {"b": {"c": []}}}, {"en": 5}),
    *(b"\xff\xfe", bytearray(b"x"), {"names": {"en": ["x"]}}, {"iso_code": "GB"}),
]
RECORDS = [
    *(record for _, record, _ in PRODUCTS),
    {"anonymizer": {**ALL_FLAGS, "confidence": 5, "residential": dict(SEEN)}},
    dict.fromkeys((*(name for names in FLAT.values() for name in names), *DETAILS, *BARE_FLAGS), 1),
    dict.fromkeys(NESTED, 1),
]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:30])
def test_bad_input__in_every_field_of_every_product_leaves_an_answer_that_can_be_kept(value):
    for record in RECORDS:
        for bad in in_every_field(record, value):
            assert_can_be_kept(record_fields(bad))


def test_bad_input__one_wrong_value_takes_no_other_field_with_it():
    """Never half a record: what a wrong value stands for is missing, and nothing else."""
    whole = record_fields(ENTERPRISE)
    for bad in in_every_field(ENTERPRISE, float("nan"), is_leaf_only=True):
        found = record_fields(bad)
        changed = {name for name in whole if found.get(name) != whole[name]}
        # A part of a country is among all of them; and its code has the country's.
        changed -= {"subdivisions"}
        assert len(changed) <= (1 if "country_code" not in changed else 2)
        assert found.keys() <= whole.keys()


def assert_can_be_kept(fields):
    location = Location(address=LONDON, resolved_at=NOON, **fields)
    assert load_locations(dump_locations([location])) == [location]
    for value in row_of(location):
        # What a driver is given: never a number that no column takes, nor text that is no text.
        assert not isinstance(value, str) or "\0" not in value
        assert not isinstance(value, str) or value.encode() is not None
        assert not isinstance(value, int) or abs(value) < 2**63
    assert len(location.user_type) <= 40
    assert len(location.connection_type) <= 40
    assert len(location.mobile_country_code) <= 8
    assert len(location.mobile_network_code) <= 8
    assert len(location.region_code) <= 10
    assert len(location.continent_code) in (0, 2)
    assert location.metro_code is None or 0 < location.metro_code < 2**31
    assert len(location.traits) <= MAX_COUNT
    assert all(len(label) <= MAX_LENGTH for label in location.traits)
    assert len(location.details) <= 40
    json.dumps(location.to_plain(), allow_nan=False)


# --- several files -------------------------------------------------------------------------------


def a_file(folder, name, record):
    return an_mmdb(folder / f"{name}.mmdb", {NETWORK: record}, database_type=name)


def test_several__each_field_names_its_source(tmp_path):
    provider = MmdbProvider(
        [
            a_file(tmp_path, "GeoIP2-City", {**CITY, "traits": {"is_anycast": True}}),
            a_file(tmp_path, "GeoLite2-ASN", {"autonomous_system_number": 237}),
            a_file(tmp_path, "GeoIP-Anonymous-Plus", {**VPN, **SEEN}),
            a_file(tmp_path, "GeoIP2-IP-Risk", {"ip_risk": 50.0, "provider_name": "another"}),
        ]
    )
    found = provider.resolve(LONDON)
    assert (found.city, found.asn) == ("Boxford", 237)
    assert found.traits == ("anonymous", "anonymous_vpn", "anycast")
    # The first that knows a detail gives it.
    assert found.details == {**SEEN, "ip_risk": 50.0}
    city, asn, plus, risk = found.source.split(", ")
    sources = found.field_sources
    assert (sources["city"], sources["asn"]) == (city, asn)
    assert sources["traits"] == f"{city}, {plus}"
    assert sources["details"] == f"{plus}, {risk}"
    assert "isp" not in sources
    assert load_locations(dump_locations([found])) == [found]


def test_several__one_that_adds_only_a_trait_is_a_source(tmp_path):
    files = [
        a_file(tmp_path, "GeoIP2-City", CITY),
        a_file(tmp_path, "Anycast", {"is_anycast": True}),
        a_file(tmp_path, "Anycast again", {"is_anycast": True}),
    ]
    found = MmdbProvider(files).resolve(LONDON)
    assert [one.split(" 2023")[0] for one in found.source.split(", ")] == ["GeoIP2-City", "Anycast"]
    assert found.field_sources["traits"].startswith("Anycast")


def test_several__what_goes_with_a_country_is_not_put_beside_another(tmp_path):
    other = {
        "country": {"iso_code": "DE", "is_in_european_union": True},
        "continent": {"code": "EU"},
        "subdivisions": [
            {"iso_code": "BE", "names": {"en": "Berlin"}},
            {"iso_code": "X", "names": {"en": "Y"}},
        ],
        "location": {"metro_code": 5},
    }
    files = [
        a_file(tmp_path, "Own", {"country_code": "US"}),
        a_file(tmp_path, "GeoIP2-City", other),
    ]
    found = MmdbProvider(files).resolve(LONDON)
    assert (found.country_code, found.continent_code) == ("US", "NA")
    assert not found.is_in_european_union
    assert (found.region_code, found.subdivisions, found.metro_code) == ("", (), None)


@pytest.mark.parametrize("value", [1e308, -1e17, 2.0**60])
def test_bad_input__a_number_that_postgresql_gives_back_as_a_whole_one_is_left_out(value):
    assert "details" not in record_fields({"score": value})
