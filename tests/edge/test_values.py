"""A header is read whole, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocache.edge.networks import NETWORKS
from geocache.edge.values import READERS, fields_of, text_of
from geocache.location import Location, dump_locations, load_locations
from tests.factories import NOON

CLOUDFLARE = NETWORKS["cloudflare"]
GOOD = {
    "country_code": "US",
    "region": "England",
    "region_code": "ENG",
    "city": "London",
    "postal_code": "SW1",
    "latitude": "51.5",
    "longitude": "-0.1",
    "time_zone": "Europe/London",
    "continent_code": "EU",
    "metro_code": "501",
    "asn": "5089",
}


def on_the_wire(text):
    """Return what WSGI and ASGI servers make of UTF-8."""
    return text.encode().decode("latin-1")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("London", "London"),
        ("  London\t", "London"),
        (on_the_wire("São Paulo"), "São Paulo"),
        (on_the_wire("Łódź"), "Łódź"),
        (on_the_wire("東京"), "東京"),
        (on_the_wire("Ōbu"), "Ōbu"),
        # Latin-1, and what a test client hands on as it is.
        ("Zürich", "Zürich"),
        ("Łódź", "Łódź"),
        ("S%C3%A3o%20Paulo", "São Paulo"),
        ("%E6%9D%B1%E4%BA%AC", "東京"),
        # Encoded once, decoded once.
        ("%2541", "%41"),
        ("100% Town", "100% Town"),
        ("Washington, D.C.", "Washington, D.C."),
        ("Foo%2CBar", "Foo,Bar"),
        ("x" * 200, "x" * 200),
    ],
)
def test_text_of__each_encoding(raw, text):
    assert text_of(raw) == text


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "   ",
        "x" * 201,
        "é" * 201,
        "%C3%A9" * 201,
        "x" * 100_000,
        # A header that was sent twice.
        "London,Paris",
        ",London",
        "London,",
        # Control characters, also after decoding.
        "Lon\x00don",
        "Lon\ndon",
        "Lon%00don",
        "Lon%0D%0ASet-Cookie:%20a",
        "\x1b[31mLondon",
        # Text that changes the direction of what follows, and a character without a width.
        on_the_wire("London\u202e"),
        on_the_wire("Lon\u200bdon"),
        # Halves of characters.
        "Lon\ud83ddon",
        "%ED%A0%BD",
        "S%C3o",
        "%FF%FE",
        None,
        7,
        b"London",
        ["London"],
    ],
)
def test_text_of__what_is_not_one_clean_value_is_nothing(raw):
    assert text_of(raw) == ""


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        *(("country_code", raw) for raw in ("XX", "ZZ", "T1", "GBR", "G", "G8", "??", "", "GB,US")),
        *(("country_code", raw) for raw in ("unknown", "\uff27\uff22", "GB GB", "%00GB")),
        *(("latitude", raw) for raw in ("NaN", "nan", "inf", "-Infinity", "1e3", "0x10", "90.1")),
        *(
            ("latitude", raw)
            for raw in ("999.0", "-91", "5 1", "1_0", "\u0665\u0661", "51,5", "1.2.3")
        ),
        *(("latitude", raw) for raw in ("9" * 500, "51." + "1" * 400, "true", "[51]")),
        *(("longitude", raw) for raw in ("180.5", "-181", "NaN", "--1", "1,2")),
        *(("metro_code", raw) for raw in ("-1", "0", "1.5", "1e2", "999999", "null", "\u0665")),
        *(("asn", raw) for raw in ("0", "-1", "4294967296", "ASX", "1.5", "9" * 30, "AS", "AS-1")),
        *(("time_zone", raw) for raw in ("Factory", "../etc/passwd", "Etc/Unknown", "UTC+1;", "x")),
        *(("time_zone", raw) for raw in ("posix/Europe/London", "/Europe/London", "Europe/", "é")),
        *(("continent_code", raw) for raw in ("XX", "T1", "Europe", "E", "??")),
        *(
            ("region_code", raw)
            for raw in ("ENGL", "E-1", "GB-ENG", "??", "é", "-", "GB-", "GB-A-B")
        ),
        *(("region", raw) for raw in ("?", "unknown", "N/A", "-", "x" * 500)),
        *(("city", raw) for raw in ("?", "unknown", "N/A", "null", "London,Paris", "()")),
        *(("postal_code", raw) for raw in ("?", "0", "-", "unknown")),
    ],
)
def test_fields_of__a_bad_value_is_left_out_and_breaks_nothing(field, raw):
    given = GOOD | {field: raw}
    found = fields_of(CLOUDFLARE, given.get)
    assert field not in found
    # A point needs both; without a country no place below it counts.
    beside = {"latitude": {"longitude"}, "longitude": {"latitude"}, "country_code": set(found)}
    whole = fields_of(CLOUDFLARE, GOOD.get)
    if field != "country_code":
        for name in set(whole) - {field} - beside.get(field, set()):
            assert found[name] == whole[name]


def test_fields_of__without_a_country_only_network_and_continent_count():
    given = {**GOOD, "country_code": "XX"}
    found = fields_of(NETWORKS["vercel"], given.get)
    assert found == {"continent_code": "EU", "asn": 5089}


@pytest.mark.parametrize(
    ("code", "trait"),
    [("T1", "tor_exit_node"), ("t1", "tor_exit_node"), ("A1", "anonymous_proxy")],
)
def test_fields_of__codes_of_no_country_are_traits(code, trait):
    found = fields_of(CLOUDFLARE, {"country_code": code, "continent_code": "T1"}.get)
    assert found == {"traits": (trait,)}


def test_fields_of__metro_codes_are_of_the_united_states():
    assert fields_of(CLOUDFLARE, GOOD.get)["metro_code"] == 501
    assert "metro_code" not in fields_of(CLOUDFLARE, (GOOD | {"country_code": "GB"}).get)


@pytest.mark.parametrize(
    ("latitude", "longitude"), [("0", "0"), ("0.000", "-0.000"), ("51.5", ""), ("", "1")]
)
def test_fields_of__a_point_is_whole_and_not_null_island(latitude, longitude):
    given = {"country_code": "GB", "latitude": latitude, "longitude": longitude}
    assert fields_of(CLOUDFLARE, given.get) == {"country_code": "GB"}


@pytest.mark.parametrize(
    "point",
    ["0.000000,0.000000", "51.5", "51.5,", ",1", "51.5,1,2", "NaN,1", "91,1", "a,b", "", "?"],
)
def test_fields_of__both_numbers_in_one_header(point):
    given = {"country_code": "GB", "point": point}
    assert fields_of(NETWORKS["appengine"], given.get) == {"country_code": "GB"}


@pytest.mark.parametrize(
    ("raw", "code"),
    [("ENG", "GB-ENG"), ("eng", "GB-ENG"), ("gb-eng", "GB-ENG"), ("9", "GB-9"), ("ENG ", "GB-ENG")],
)
def test_fields_of__code_of_a_region(raw, code):
    given = {"country_code": "gb", "region_code": raw}
    assert fields_of(CLOUDFLARE, given.get)["region_code"] == code


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("new york", "New York"),
        ("stratford-upon-avon", "Stratford-Upon-Avon"),
        ("o'fallon", "O'fallon"),
        ("'s-hertogenbosch", "'s-Hertogenbosch"),
        ("den Haag", "den Haag"),
        (on_the_wire("東京"), "東京"),
    ],
)
def test_fields_of__names_in_lower_case_get_capitals(raw, name):
    assert fields_of(CLOUDFLARE, {"country_code": "GB", "city": raw}.get)["city"] == name


texts = st.text(max_size=30) | st.sampled_from(["%", "%C3", "GB", "NaN", "1,1", "T1"])


@given(st.dictionaries(st.sampled_from(sorted(READERS)), texts))
def test_fields_of__whatever_is_sent_makes_an_answer_that_can_be_kept(sent):
    for name in ("cloudflare", "vercel", "appengine"):
        found = fields_of(NETWORKS[name], sent.get)
        location = Location(address="", resolved_at=NOON, **found)
        assert load_locations(dump_locations([location])) == [location]
        assert location.zone_info is None or location.time_zone


@pytest.mark.parametrize("field", ["connection_type", "user_type"])
def test_fields_of__types_are_as_short_as_those_of_databases(field):
    assert READERS[field]("x" * 100) == "x" * 40
