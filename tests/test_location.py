import json
import math
import operator
import random
import re
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from math import inf, nan
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import pytest
from django.utils.safestring import mark_safe
from django.utils.translation import override
from msgspec.structs import replace

from geocache.exceptions import UndecodableRecord
from geocache.field_sources import pack
from geocache.location import (
    FIELDS,
    NEVER_SEEN,
    NOT_FOUND,
    RECORD_VERSION,
    UNAVAILABLE,
    Details,
    Location,
    LocationDict,
    Subdivision,
    count_locations,
    dump_locations,
    load_locations,
)
from tests.factories import LONDON, NOON, a_location

FULL = Location(
    address=LONDON,
    resolved_at=NOON,
    network="81.2.69.0/24",
    country_code="GB",
    region="England",
    city="London",
    postal_code="SW1A",
    latitude=51.5142,
    longitude=-0.0931,
    accuracy_radius_km=10,
    time_zone="Europe/London",
    asn=2**32 - 1,
    organization="Test Networks",
    source="GeoLite2-City 2026-01-01",
    reason="",
    continent_code="EU",
    is_in_european_union=True,
    registered_country_code="IE",
    region_code="GB-ENG",
    subdivisions=(Subdivision("GB-ENG", "England"), Subdivision("GB-WBK", "West Berkshire")),
    metro_code=501,
    traits=("anonymous", "anonymous_vpn"),
    isp="Test ISP",
    domain="example.com",
    connection_type="Cable/DSL",
    user_type="residential",
    mobile_country_code="234",
    mobile_network_code="10",
    details=Details.of(
        {"static_ip_score": 1.5, "user_count": 3, "provider_name": "x", "is_x": True}
    ),
)
EMPTY = Location(address=LONDON, resolved_at=NOON, reason=NOT_FOUND)


# In the order of a text.
NAMES = Location.__struct_fields__
# Of releases up to 0.2.0.
OLD_NAMES = NAMES[:17]


def a_record(row, **changed):
    record = {"v": RECORD_VERSION, "n": 1, "f": len(NAMES), "answers": [row]}
    return json.dumps(record | changed)


def an_old_record(row):
    """What release 0.2.0 writes."""
    return json.dumps({"v": RECORD_VERSION, "n": 1, "answers": [row[: len(OLD_NAMES)]]})


def a_row_with(**changed):
    values = json.loads(dump_locations([FULL]))["answers"][0]
    for name, value in changed.items():
        values[NAMES.index(name)] = value
    return values


def test_location__is_false_when_nothing_is_known():
    assert a_location()
    assert Location(address=LONDON, resolved_at=NOON)
    for reason in (NOT_FOUND, UNAVAILABLE, "private"):
        assert not a_location(reason=reason)


def test_location__is_frozen_hashable_and_takes_no_other_fields():
    location = a_location()
    with pytest.raises(AttributeError):
        location.city = "Paris"
    with pytest.raises((AttributeError, TypeError)):
        location.other = 1
    assert hash(location) == hash(a_location())


def test_location__to_plain_is_json_with_every_field():
    plain = FULL.to_plain()
    assert plain == json.loads(json.dumps(plain))
    assert set(plain) == {*FIELDS, "field_sources", "found", "stale"} - {"given_by"}
    assert plain["resolved_at"] == "2026-01-02T12:00:00+00:00"
    assert plain["found"] is True
    assert EMPTY.to_plain()["found"] is False


@pytest.mark.parametrize(
    "location",
    [
        FULL,
        EMPTY,
        replace(FULL, city="Zürich\N{LINE SEPARATOR}東京 \N{GRINNING FACE}", region='"\\\n\t'),
        replace(FULL, city="\0", region="\x7f\x85"),
        replace(FULL, resolved_at=NOON + timedelta(microseconds=1)),
        replace(FULL, resolved_at=datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=UTC)),
        replace(FULL, resolved_at=datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC)),
        replace(FULL, resolved_at=datetime(9999, 12, 31, tzinfo=UTC)),
        replace(FULL, latitude=-90, longitude=180.0),
        replace(FULL, latitude=0.1 + 0.2, longitude=5e-324),
        replace(FULL, latitude=None, longitude=None, accuracy_radius_km=None, asn=None),
        replace(FULL, asn=0, accuracy_radius_km=0),
        replace(FULL, asn=10**30, accuracy_radius_km=-(10**30)),
    ],
)
def test_load__gives_back_what_was_dumped(location):
    assert load_locations(dump_locations([location])) == [location]


def test_load__gives_back_random_answers_in_their_order():
    numbers = random.Random(7)
    letters = [chr(code) for code in (*range(1, 300), 0x4E1C, 0x1F600, 0xFFFF)]
    for _ in range(50):
        given = [
            a_location(
                f"20.0.{n}.1",
                city="".join(numbers.choices(letters, k=numbers.randrange(30))),
                latitude=numbers.uniform(-90, 90),
                asn=numbers.getrandbits(32),
                resolved_at=NOON + timedelta(microseconds=numbers.getrandbits(50)),
            )
            for n in range(numbers.randrange(20))
        ]
        assert load_locations(dump_locations(given)) == given


def test_load__another_zone_is_the_same_moment():
    east = timezone(timedelta(hours=5, minutes=30))
    loaded = load_locations(dump_locations([replace(FULL, resolved_at=NOON.astimezone(east))]))[0]
    assert loaded.resolved_at == NOON
    assert load_locations(dump_locations([FULL]))[0].resolved_at.tzinfo is UTC


def test_dump__is_one_line():
    text = dump_locations([replace(FULL, city="a\nb\r\0")])
    assert not set(text) & set("\n\r\0")


class Whole(int):
    """A number as some libraries give it."""


class Real(float):
    """Another one."""


def test_dump__takes_text_and_numbers_of_other_classes():
    given = replace(FULL, city=mark_safe("London"), asn=Whole(64500), latitude=Real(1.5))
    loaded = load_locations(dump_locations([given]))[0]
    assert loaded == replace(FULL, city="London", asn=64500, latitude=1.5)
    assert [type(one) for one in (loaded.city, loaded.asn, loaded.latitude)] == [str, int, float]


def test_dump__says_what_is_no_part_of_an_answer():
    with pytest.raises(TypeError, match="object is no part of an answer"):
        dump_locations([replace(FULL, city=object())])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"city": "\ud800 half"}, {"city": "\N{REPLACEMENT CHARACTER} half"}),
        ({"city": "\ud83d\ude00"}, {"city": "\N{GRINNING FACE}"}),
        ({"latitude": nan, "longitude": -inf}, {"latitude": None, "longitude": None}),
    ],
)
def test_dump__leaves_out_what_no_text_can_hold(given, kept):
    """A provider's mistake: the rest of the answer, and the others beside it, are kept."""
    loaded = load_locations(dump_locations([replace(FULL, **given), FULL]))
    assert loaded == [replace(FULL, **kept), FULL]


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        b"{}",
        [],
        "",
        "null",
        "[]",
        "{}",
        "SEAL",
        '{"v":1}',
        dump_locations([FULL])[:-3],
        dump_locations([FULL])[:30],
        dump_locations([FULL]) + "x",
        "[" * 100_000,
        '{"v":2,"n":1,"answers":[["1.2.3.4",' + "9" * 5000 + "]]}",
        dump_locations([FULL]) + "\ud800",
        dump_locations([FULL]).replace("London", "\ud800"),
    ],
    ids=lambda text: repr(text)[:40],
)
def test_load__refuses_what_is_no_record(text):
    with pytest.raises(UndecodableRecord):
        load_locations(text)


@pytest.mark.parametrize("version", [0, RECORD_VERSION - 1, RECORD_VERSION + 1])
def test_load__refuses_another_version(version):
    with pytest.raises(UndecodableRecord, match=f"version {version}"):
        load_locations(a_record(a_row_with(), v=version))


@pytest.mark.parametrize("version", ["2", None, [], 2.5, 10**400])
def test_load__refuses_what_is_no_version(version):
    with pytest.raises(UndecodableRecord):
        load_locations(a_record(a_row_with(), v=version))


@pytest.mark.parametrize("answers", [{}, "ab", 5, None])
def test_load__refuses_answers_that_are_no_list(answers):
    with pytest.raises(UndecodableRecord):
        load_locations(a_record(None, answers=answers))


@pytest.mark.parametrize("row", [None, 5, "ab", {}, {"a": 1}, [], [LONDON], [[LONDON], 1]])
def test_load__refuses_an_answer_that_is_no_row(row):
    with pytest.raises(UndecodableRecord):
        load_locations(a_record(row))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("address", None),
        ("address", 16909060),
        ("address", ["1.2.3.4"]),
        ("city", 5),
        ("city", None),
        ("city", {"en": "London"}),
        ("reason", False),
        ("latitude", "51.5"),
        ("latitude", True),
        ("latitude", float("nan")),
        ("latitude", float("inf")),
        ("longitude", float("-inf")),
        ("longitude", []),
        ("accuracy_radius_km", 1.5),
        ("accuracy_radius_km", False),
        ("asn", "64500"),
        ("asn", True),
        ("asn", 64500.0),
        ("resolved_at", "2026-01-02"),
        ("resolved_at", "2026-01-02T12:00:00"),
        ("resolved_at", "2026-02-30T12:00:00Z"),
        ("resolved_at", "10000-01-02T12:00:00Z"),
        ("resolved_at", None),
        ("resolved_at", True),
        ("resolved_at", 1767355200),
        ("is_renewed", 1),
        ("continent_code", None),
        ("is_in_european_union", 1),
        ("subdivisions", ["England"]),
        ("subdivisions", [{"code": 1}]),
        ("metro_code", "501"),
        ("traits", "anonymous"),
        ("traits", [1]),
        ("details", []),
        ("details", {"pairs": [["a", {"b": 1}]]}),
        ("details", {"pairs": [["a", [1]]]}),
        ("details", {"pairs": {"a": 1}}),
        ("details", {"pairs": [["a"]]}),
    ],
)
def test_load__refuses_a_field_of_a_wrong_type_or_size(name, value):
    with pytest.raises(UndecodableRecord) as refusal:
        load_locations(a_record(a_row_with(**{name: value})))
    assert "\n" not in str(refusal.value)


def test_load__a_number_too_big_for_any_column_is_for_the_database_to_refuse():
    assert load_locations(a_record(a_row_with(asn=10**30)))[0].asn == 10**30


def test_load__one_bad_answer_refuses_the_record():
    with pytest.raises(UndecodableRecord):
        load_locations(a_record(None, answers=[a_row_with(), a_row_with(city=5)]))


def test_load__ignores_fields_of_a_later_release():
    later = [*a_row_with(), "a new field", {"of": "any type"}, None]
    assert load_locations(a_record(later, also="unknown")) == [FULL]


def test_load__fills_in_fields_that_an_earlier_release_had_not():
    assert load_locations(a_record(a_row_with()[:2])) == [
        Location(address=LONDON, resolved_at=NOON)
    ]
    for length in range(2, len(NAMES) + 1):
        loaded = load_locations(a_record(a_row_with()[:length]))[0]
        kept = NAMES[:length]
        assert all(getattr(loaded, name) == getattr(FULL, name) for name in kept)


@pytest.mark.parametrize(
    ("country", "continent", "is_in_union"),
    [
        ("DE", "EU", True),
        ("GB", "EU", False),
        ("GF", "SA", True),
        ("US", "NA", False),
        ("", "", False),
    ],
)
def test_load__an_answer_of_an_earlier_release_has_what_follows_from_its_country(
    country, continent, is_in_union
):
    (loaded,) = load_locations(an_old_record(a_row_with(country_code=country)))
    assert (loaded.continent_code, loaded.is_in_european_union) == (continent, is_in_union)
    assert loaded.traits == ()


def test_dump__is_read_by_the_release_before():
    class OldLocation(msgspec.Struct, array_like=True):
        address: str
        resolved_at: datetime
        network: str
        country_code: str

    class OldRecord(msgspec.Struct):
        v: int
        n: int
        answers: list[OldLocation]

    text = dump_locations([FULL, EMPTY])
    record = msgspec.json.decode(text, type=OldRecord)
    assert (record.v, record.n) == (2, 2)
    assert [one.country_code for one in record.answers] == ["GB", ""]
    # As 0.2.0 counts them without reading them.
    assert re.match(r'\{"v":\d+,"n":2,', text)
    # It reads by their place what it knows.
    assert OLD_NAMES[-2:] == ("is_renewed", "is_stale")


def test_fields__order_is_what_is_stored_so_new_ones_are_appended():
    assert FIELDS[15:] == (
        "continent_code",
        "is_in_european_union",
        "registered_country_code",
        "region_code",
        "metro_code",
        "given_by",
        "subdivisions",
        "isp",
        "domain",
        "connection_type",
        "user_type",
        "mobile_country_code",
        "mobile_network_code",
        "traits",
        "details",
    )
    assert FIELDS[:15] == (
        "address",
        "resolved_at",
        "network",
        "country_code",
        "region",
        "city",
        "postal_code",
        "latitude",
        "longitude",
        "accuracy_radius_km",
        "time_zone",
        "asn",
        "organization",
        "source",
        "reason",
    )


@pytest.mark.parametrize("count", [0, 1, 2, 200])
def test_count__says_how_many_without_reading_them(count):
    text = dump_locations([FULL] * count)
    assert count_locations(text) == count
    assert count_locations(text[:20]) == count


@pytest.mark.parametrize(
    "text", [None, 5, b"x", "", "SEAL", "{}", '{"v":1,"n":-5,', '{"v":1,"n":99999999999999,']
)
def test_count__is_one_for_what_it_cannot_tell(text):
    assert count_locations(text) == 1


def test_load__leaves_the_limit_on_digits_alone():
    limit = sys.get_int_max_str_digits()
    with pytest.raises(UndecodableRecord):
        load_locations("9" * (limit + 1))
    assert sys.get_int_max_str_digits() == limit


def test_is_renewed__comes_back_and_is_not_shown():
    renewed = a_location(is_renewed=True)
    assert load_locations(dump_locations([renewed, a_location()])) == [renewed, a_location()]
    assert "is_renewed" not in renewed.to_plain()


def test_asked_on__is_the_day_of_utc_unless_nobody_asked():
    at = datetime(2026, 3, 4, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
    assert a_location(resolved_at=at).last_seen_on == date(2026, 3, 5)
    assert a_location(is_renewed=True).last_seen_on == NEVER_SEEN


# Latitude and longitude; the distances below are published ones, rounded to kilometres.
CITIES = {
    "London": (51.5074, -0.1278),
    "Paris": (48.8566, 2.3522),
    "New York": (40.7128, -74.0060),
    "Sydney": (-33.8688, 151.2093),
    "Suva": (-18.1248, 178.4501),
    "Apia": (-13.8507, -171.7514),
}


def in_city(name):
    latitude, longitude = CITIES[name]
    return a_location(latitude=latitude, longitude=longitude)


@pytest.mark.parametrize(
    ("here", "there", "km"),
    [
        ("London", "Paris", 344),
        ("London", "New York", 5570),
        ("New York", "London", 5570),
        ("London", "Sydney", 16993),
        # Across the 180th meridian.
        ("Suva", "Apia", 1151),
        ("Paris", "Paris", 0),
    ],
)
def test_distance_km__of_known_cities(here, there, km):
    assert in_city(here).distance_km(in_city(there)) == pytest.approx(km, rel=0.002, abs=1e-9)


@pytest.mark.parametrize(
    ("here", "there", "degrees"),
    [
        ((0, 0), (0, 180), 180),
        ((90, 0), (-90, 77), 180),
        ((0, 0), (0, 1e-9), 1e-9),
        ((0, 0), (0, 90), 90),
    ],
)
def test_distance_km__of_far_and_near_points(here, there, degrees):
    one, other = (a_location(latitude=lat, longitude=lon) for lat, lon in (here, there))
    assert one.distance_km(other) == pytest.approx(6371.0088 * math.radians(degrees), rel=1e-12)


@pytest.mark.parametrize("missing", [{"latitude": None}, {"longitude": None}, {"latitude": nan}])
def test_distance_km__without_coordinates_is_none(missing):
    known, unknown = a_location(latitude=0.0, longitude=0.0), replace(FULL, **missing)
    assert known.distance_km(unknown) is unknown.distance_km(known) is None
    assert known.distance_km(known) == 0


@pytest.mark.parametrize("other", [None, LONDON, (51.5, 0), {"latitude": 1, "longitude": 1}])
def test_distance_km__of_something_else_is_a_type_error(other):
    with pytest.raises(TypeError, match=r"^distance_km takes a Location, not "):
        FULL.distance_km(other)


def test_to_geojson__is_a_feature_with_a_point():
    feature = FULL.to_geojson()
    assert feature == json.loads(json.dumps(feature))
    assert feature["type"] == "Feature"
    assert feature["geometry"] == {"type": "Point", "coordinates": [-0.0931, 51.5142]}
    assert feature["properties"] == FULL.to_plain()


def test_to_geojson__without_coordinates_has_no_geometry():
    assert EMPTY.to_geojson()["geometry"] is None


def test_zone_info__is_that_of_the_place():
    assert FULL.zone_info == ZoneInfo("Europe/London")
    assert a_location(time_zone="America/Argentina/Buenos_Aires").zone_info is not None
    assert a_location(time_zone="Etc/GMT+5").zone_info is not None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Nowhere/Town",
        "Europe",
        "Europe/London/",
        "Europe//London",
        "../../etc/passwd",
        "Europe/../UTC",
        "/etc/localtime",
        "localtime",
        "right/UTC",
        "Factory",
        "zone.tab",
        "a\0b",
        "Europe/\ud800",
        "x" * 5000,
        "X" * 5000,
        "Köln",
        "Europe/London\n",
        "C:\\zones",
    ],
)
def test_zone_info__what_is_no_zone_is_none(name):
    assert a_location(time_zone=name).zone_info is None


def test_zone_info__every_zone_of_the_library_is_known():
    names = available_timezones() - {"localtime", "Factory"}
    assert [one for one in names if a_location(time_zone=one).zone_info is None] == []


def test_country__name_flag_and_continent_are_those_of_the_reader():
    with override("de"):
        assert FULL.country_name == "Vereinigtes Königreich"
    assert (FULL.country_name, FULL.flag, FULL.continent) == ("United Kingdom", "🇬🇧", "EU")
    assert FULL.continent_name == "Europe"


def test_country__what_is_not_known_is_empty():
    assert (EMPTY.country_name, EMPTY.flag, EMPTY.continent, EMPTY.continent_name) == ("",) * 4
    strange = a_location(country_code="QQ")
    assert (strange.country_name, strange.continent) == ("QQ", "")


def test_to_plain__is_a_location_dict():
    for location in (FULL, EMPTY, replace(FULL, is_stale=True, latitude=51)):
        plain = location.to_plain()
        assert msgspec.convert(plain, LocationDict) == plain
        assert list(plain) == list(LocationDict.__annotations__)


def test_from_plain__reads_what_to_plain_has_written():
    for location in (FULL, EMPTY, replace(FULL, is_stale=True)):
        assert Location.from_plain(json.loads(json.dumps(location.to_plain()))) == location


def test_from_plain__of_an_earlier_release_has_what_follows_from_its_country():
    plain = {"address": LONDON, "resolved_at": NOON.isoformat(), "country_code": "FR"}
    location = Location.from_plain(plain)
    assert (location.continent_code, location.is_in_european_union) == ("EU", True)


def test_from_plain__fields_of_another_release():
    plain = {"address": LONDON, "resolved_at": NOON.isoformat(), "later": 7}
    assert Location.from_plain(plain) == Location(address=LONDON, resolved_at=NOON)


@pytest.mark.parametrize(
    "plain",
    [
        None,
        7,
        "text",
        [],
        {},
        {"address": LONDON},
        FULL.to_plain() | {"latitude": "north"},
        FULL.to_plain() | {"address": None},
        FULL.to_plain() | {"resolved_at": "yesterday"},
        FULL.to_plain() | {"resolved_at": "2026-01-02T12:00:00"},
    ],
)
def test_from_plain__anything_else_is_undecodable(plain):
    with pytest.raises(UndecodableRecord, match="this is not a location"):
        Location.from_plain(plain)


def test_details__cannot_be_changed_and_are_compared_by_value():
    details = Details.of({"user_count": 3})
    assert details == {"user_count": 3} == Details.of({"user_count": 3})
    assert not operator.ne(details, Details.of({"user_count": 3}))
    assert details != Details.of({"user_count": 4})
    assert hash(details) == hash(Details.of({"user_count": 3}))
    assert dict(details) == {"user_count": 3}
    with pytest.raises(TypeError):
        details["user_count"] = 4
    with pytest.raises(AttributeError):
        details.user_count = 4


def test_details__given_by_a_provider_of_a_project_as_a_dict():
    location = replace(EMPTY, details={"user_count": 3}, traits=["anycast"])
    (loaded,) = load_locations(dump_locations([location]))
    assert loaded.details == Details.of({"user_count": 3})
    assert loaded.traits == ("anycast",)


@pytest.mark.parametrize(
    ("traits", "is_anonymous", "is_hosting"),
    [
        ((), False, False),
        (("anonymous",), True, False),
        (("tor_exit_node",), True, False),
        (("hosting_provider",), False, True),
        (("anonymous_vpn", "hosting_provider"), True, True),
        (("cloud", "vpn"), True, True),
        (("anycast", "satellite_provider"), False, False),
    ],
)
def test_location__kind_of_network_by_its_traits(traits, is_anonymous, is_hosting):
    location = replace(EMPTY, traits=traits)
    assert (location.is_anonymous, location.is_hosting) == (is_anonymous, is_hosting)
    assert location.has_trait("anycast") == ("anycast" in traits)


def test_field_sources__of_a_location_and_back():
    location = replace(FULL, source="City 1, ASN 2", given_by=pack([["city"], ["asn", "isp"]]))
    sources = {"city": "City 1", "asn": "ASN 2", "isp": "ASN 2"}
    assert location.field_sources == sources
    plain = location.to_plain()
    assert plain["field_sources"] == sources
    assert Location.from_plain(plain) == location
    assert FULL.field_sources == {}


@pytest.mark.parametrize("wrong", [5, [1], {"city": 5}, {"city": None}, "x"])
def test_from_plain__refuses_wrong_field_sources(wrong):
    with pytest.raises(UndecodableRecord):
        Location.from_plain(FULL.to_plain() | {"source": "A, B", "field_sources": wrong})
