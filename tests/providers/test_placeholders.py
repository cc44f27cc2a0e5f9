"""What stands for "nothing is known" is nothing, in every field and for every provider."""

import pytest
from geoip2.models import City

from geocache.location import NOT_FOUND
from geocache.providers.coercion import (
    CLEAR_BEGINNINGS,
    NOTHING,
    NOTHING_BEGINS,
    is_placeholder,
    text,
    words,
)
from geocache.providers.http.json_service import HttpJsonProvider
from geocache.providers.maxmind_layout import maxmind_fields
from geocache.providers.mmdb_records import FLAT, record_fields
from tests.factories import LONDON
from tests.support.http_server import Reply, serving

PLACEHOLDERS = (
    *("", " ", "-", "--", "---", "\N{EM DASH}", "?", "...", "*", "0", "00000"),
    *("N/A", "n/a", "N.A.", "NA ", "null", "NULL", "(null)", "None", "nil", "\\N", "False"),
    *("unknown", "Unknown", "(Unknown)", "[unknown]", "UNKNOWN CITY", "undefined", "not found"),
    *("Not Available", "not applicable", "Reserved", "bogon", "Unallocated", "Not routed"),
    "This parameter is unavailable for selected data file. Please upgrade the data file.",
    "This method is not applicable for current IP2Location binary data file.",
    "INVALID IP ADDRESS",
)
BESIDE = ("continent_code", "domain", "is_in_european_union", "isp", "registered_country_code")
TEXTS = ("region", "city", "postal_code", "time_zone", "organization")
NO_COUNTRIES = ("ZZ", "XX", "xx", "AA", "QM", "T1", "A1", "A2", "O1", "--", "-", "N/A", " ", "0")
# What stays: a country, places and operators of these names.
MEANT = (
    ("country_code", "NA", "NA"),
    ("country_code", " na ", "NA"),
    ("country_code", "XK", "XK"),
    ("country_code", "EU", "EU"),
    ("city", "Nan", "Nan"),
    ("city", "Unknown Corners", "Unknown Corners"),
    ("city", "Nashville", "Nashville"),
    ("city", "Å", "Å"),
    ("city", "東京", "東京"),
    ("postal_code", "0010", "0010"),
    ("organization", "Reserved Seats Ltd", "Reserved Seats Ltd"),
    ("organization", "NA-NET", "NA-NET"),
    ("organization", "1&1", "1&1"),
    ("time_zone", "Etc/UTC", "Etc/UTC"),
)


def in_maxminds_layout(fields):
    """A record of MaxMind's with these values."""
    named = lambda value: {"names": {"en": value}}  # noqa: E731 - one line
    parts = {
        "country_code": lambda value: {"country": {"iso_code": value}},
        "region": lambda value: {"subdivisions": [named(value)]},
        "city": lambda value: {"city": named(value)},
        "postal_code": lambda value: {"postal": {"code": value}},
        "time_zone": lambda value: {"location": {"time_zone": value}},
        "asn": lambda value: {"traits": {"autonomous_system_number": value}},
        "organization": lambda value: {"traits": {"autonomous_system_organization": value}},
    }
    return {key: part for name, value in fields.items() for key, part in parts[name](value).items()}


def from_flat_file(field, value):
    return [record_fields({name: value}) for name in FLAT[field]]


def from_nested_file(field, value):
    # Without another object it is a flat record.
    return [record_fields({"country": {}, **in_maxminds_layout({field: value})})]


@pytest.fixture
def ask(request):
    """Fields out of what one kind of provider reads."""
    if request.param is not from_json_service:
        yield request.param
        return
    with serving() as service:
        yield lambda field, value: [request.param(service, field, value)]


def from_json_service(service, field, value):
    provider = HttpJsonProvider(
        url=f"http://{service.host}/{{address}}", fields={field: "x.value"}, timeout_seconds=2
    )
    service.answer(Reply(body={"x": {"value": value}}))
    return plain(provider.resolve(LONDON))


def from_maxminds_service(field, value):
    # As MaxMindProvider reads what geoip2 makes of an answer.
    record = in_maxminds_layout({field: value})
    traits = {**record.get("traits", {}), "ip_address": LONDON}
    return [maxmind_fields(City(["en"], **{**record, "traits": traits}).to_dict())]


def plain(location):
    fields = (*TEXTS, "country_code", "latitude", "longitude", "accuracy_radius_km", "asn")
    assert bool(location) is (location.reason != NOT_FOUND)
    return {
        name: getattr(location, name)
        for name in fields
        if getattr(location, name) not in ("", None)
    }


ALL = pytest.mark.parametrize(
    "ask",
    [from_flat_file, from_nested_file, from_json_service, from_maxminds_service],
    indirect=True,
    ids=lambda one: one.__name__,
)


@ALL
@pytest.mark.parametrize("field", TEXTS)
def test_placeholder__is_nothing_in_any_text(ask, field):
    for value in PLACEHOLDERS:
        assert all(found == {} for found in ask(field, value)), value


@ALL
def test_placeholder__is_no_country(ask):
    for value in (*NO_COUNTRIES, *PLACEHOLDERS):
        if value.strip() != "NA":
            assert all(found == {} for found in ask("country_code", value)), value


@ALL
@pytest.mark.parametrize("value", [0, None])
def test_placeholder__is_no_operator(ask, value):
    assert all(found == {} for found in ask("asn", value))


@ALL
@pytest.mark.parametrize(("field", "value", "expected"), MEANT)
def test_placeholder__what_is_meant_stays(ask, field, value, expected):
    # What follows from a country, or from the name of an ISP, is beside it.
    assert all(found[field] == expected for found in ask(field, value))
    assert all(found.keys() <= {field, *BESIDE} for found in ask(field, value))


@pytest.mark.parametrize("ask", [from_flat_file, from_json_service], indirect=True)
@pytest.mark.parametrize("field", ["asn", "latitude", "longitude", "accuracy_radius_km"])
def test_placeholder__is_no_number(ask, field):
    for value in (*PLACEHOLDERS, "AS0", "AS-", "AS"):
        if value not in ("0", "00000") and (field == "asn" or not value.startswith("AS")):
            assert all(found == {} for found in ask(field, value)), value


@pytest.mark.parametrize("value", ["0", "AS0", "AS0 Reserved", "AS0 -", "0000"])
def test_placeholder__the_operator_of_number_0_is_none(value):
    record = {"asn": value}
    assert record_fields(record) == {}


@pytest.mark.parametrize(
    ("others", "is_kept"),
    [
        ({"country_code": "-", "city": "-"}, False),
        ({"country": None}, False),
        ({"city": ""}, False),
        ({"country_code": "GH", "city": "-"}, True),
        ({"city": "Null Island"}, True),
        ({}, True),
    ],
)
def test_placeholder__a_point_of_zeros_is_one_among_others(others, is_kept):
    found = record_fields({"latitude": 0.0, "longitude": 0.0, **others})
    assert ("latitude" in found, "longitude" in found) == (is_kept, is_kept)


def test_words__that_surely_say_something_are_read_as_all_others_are():
    endings = ("", "slo", "slo ", "slo\0", "sl\u00f8", "slo\x1c", "slo\N{NO-BREAK SPACE}")
    for letter in map(chr, range(1, 128)):
        for ending in endings:
            found = text(letter + ending).strip()
            assert words(letter + ending) == ("" if is_placeholder(found) else found)


def test_words__what_stands_for_nothing_never_surely_says_something():
    assert not CLEAR_BEGINNINGS & {nothing[:1] for nothing in (*NOTHING, *NOTHING_BEGINS)}
