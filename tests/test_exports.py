import csv
import io
import json
import re
import unicodedata

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncRequestFactory, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from geocache import exports
from geocache.exports import KINDS, download, to_csv, to_json, to_json_lines
from geocache.location import FIELDS, Details, Location, Subdivision
from tests.factories import NOON, a_location, many_locations


def rows_of(*locations):
    return list(csv.DictReader(io.StringIO("".join(to_csv(locations)))))


def credited(location, credit=""):
    return location.to_plain() | {"credit": credit}


def test_csv__has_all_fields_by_name():
    [row] = rows_of(a_location(latitude=51.5, longitude=-0.1, asn=64500, city='Ü, "x"'))
    assert tuple(row)[:16] == (*FIELDS[:15], "credit")
    assert set(row) == {*FIELDS, "credit", "field_sources"} - {"given_by"}
    assert row["address"] == "81.2.69.142"
    assert row["city"] == 'Ü, "x"'
    assert row["resolved_at"] == NOON.isoformat()
    assert row["time_zone"] == ""


def test_csv__what_came_later_stands_after_the_columns_of_before():
    [row] = rows_of(
        a_location(
            continent_code="EU",
            is_in_european_union=True,
            subdivisions=(Subdivision("GB-ENG", "England"), Subdivision("", "Kent")),
            traits=("anonymous", "anonymous_vpn"),
            details=Details.of({"provider_name": "Ü;=1", "user_count": -3}),
            source="A 1, B 1",
            given_by="1.2",
        )
    )
    assert list(row)[15:17] == ["credit", "continent_code"]
    assert row["is_in_european_union"] == "true"
    assert row["subdivisions"] == "GB-ENG England; Kent"
    assert row["traits"] == "anonymous anonymous_vpn"
    assert row["details"] == '{"provider_name": "Ü;\'=1", "user_count": -3}'
    assert json.loads(row["field_sources"]) == {"country_code": "A 1", "region": "B 1"}
    [empty] = rows_of(a_location())
    assert {empty[name] for name in ("subdivisions", "traits", "details", "field_sources")} == {""}


@pytest.mark.parametrize(
    "fields",
    [
        {"traits": ("=cmd",)},
        {"subdivisions": (Subdivision("=cmd", "x"),)},
        {"isp": "=cmd"},
        {"domain": "=cmd"},
        {"user_type": "=cmd"},
    ],
)
def test_csv__what_came_later_is_not_run_either(fields):
    [row] = rows_of(a_location(**fields))
    assert row[next(iter(fields))].startswith("'=cmd")


DBIP = "IP Geolocation by DB-IP (CC BY 4.0), https://db-ip.com"
GEOLITE = (
    "This product includes GeoLite2 data created by MaxMind, available from https://www.maxmind.com"
)


@pytest.mark.parametrize(
    ("source", "credit"),
    [
        ("DBIP-City-Lite 2020-01-01", DBIP),
        ("GeoLite2-City 2026-01-01, DBIP-ASN-Lite 2026-01-01", f"{GEOLITE}; {DBIP}"),
        ("Dummy 1", ""),
    ],
)
def test_file__each_answer_has_the_credit_of_its_own_source(source, credit):
    location = a_location(source=source)
    [row] = rows_of(location)
    assert row["credit"] == credit
    for lines in (to_json, to_json_lines):
        text = "".join(lines([location])).strip().removeprefix("[").removesuffix("]")
        read = json.loads(text)
        assert read == credited(location, credit)
        assert Location.from_plain(read) == location


# Full width, small form, and the minus sign of mathematics.
WIDE_SIGNS = "\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"


# U+FEFF, a no-break space and a zero-width space are invisible; then signs in other widths.
@pytest.mark.parametrize(
    "before", ["", " ", "\ufeff", "\xa0", "\u200b", "\u2003\xad", "\x01", '"', "("]
)
@pytest.mark.parametrize("sign", f"=+-@{WIDE_SIGNS}")
def test_csv__text_that_a_spreadsheet_would_run_is_text(before, sign):
    [row] = rows_of(a_location(organization=f"{before}{sign}SUM(1)"))
    assert row["organization"] == f"'{before}{sign}SUM(1)"


@pytest.mark.parametrize("first", ["\t", "\r", "\n", ";"])
def test_csv__what_begins_with_a_break_is_text(first):
    [row] = rows_of(a_location(organization=f"{first}HYPERLINK(1)"))
    assert row["organization"] == f"'{first}HYPERLINK(1)"


@pytest.mark.parametrize("separator", [";", "\t", "\r", "\n", "\r\n"])
def test_csv__separator_of_another_country_begins_no_formula(separator):
    [row] = rows_of(a_location(organization=f"a{separator} =1+1{separator}\uff20b"))
    assert row["organization"] == f"a{separator}' =1+1{separator}'\uff20b"


TEXTS = st.text(
    st.sampled_from("=+-@\uff1d\uff20\u2212;,\t\r\n \"'\ufeff\xa0\u200bab1(é")
    | st.characters(codec="utf-8")
)
# As the program's own reading of a cell, apart from the pattern of the exports.
INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}


def is_formula(cell):
    shown = "".join(one for one in cell if unicodedata.category(one) not in INVISIBLE)
    return unicodedata.normalize("NFKC", shown)[:1] in set("=+-@")


@given(text=TEXTS)
def test_csv__no_cell_of_any_text_is_a_formula(text):
    line = "".join(to_csv([a_location(organization=text, source="")])).partition("\r\n")[2]
    # Read as a program does that separates cells by semicolons or tabs, and knows of no quotes.
    for cell in re.split(r"[;\t\r\n]", line):
        assert not is_formula(cell.strip('"')), line
    [row] = rows_of(a_location(organization=text))
    assert row["organization"].replace("'", "") == text.replace("'", "")


def test_csv__numbers_below_zero_stay_numbers():
    [row] = rows_of(a_location(latitude=-33.9, longitude=-151.2))
    assert (row["latitude"], row["longitude"]) == ("-33.9", "-151.2")


def test_csv__minus_inside_a_text_stays():
    [row] = rows_of(a_location(organization="A-B =1"))
    assert row["organization"] == "A-B =1"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json__is_one_array(count):
    locations = many_locations(count)
    assert json.loads("".join(to_json(locations))) == [*map(credited, locations)]


def test_json_lines__is_one_object_a_line():
    locations = [a_location(city="Zürich\n"), a_location("8.8.8.8", reason="not_found")]
    lines = "".join(to_json_lines(locations)).splitlines()
    assert [json.loads(line) for line in lines] == [*map(credited, locations)]


@pytest.mark.parametrize("kind", KINDS)
def test_download__is_a_file_with_a_name(kind):
    response = download(RequestFactory().get("/"), [a_location()], kind, "answers")
    assert response["Content-Disposition"] == f'attachment; filename="answers.{kind}"'
    assert response["Content-Type"].startswith(("text/csv", "application/json"))
    assert b"81.2.69.142" in b"".join(response)


def test_download__reads_no_more_than_it_sends():
    taken = []

    def locations():
        for location in many_locations(5_000):
            taken.append(location)
            yield location

    response = download(RequestFactory().get("/"), locations(), "csv", "answers")
    assert not taken
    next(iter(response))
    assert len(taken) <= exports.LINES_PER_CHUNK


async def download_in_full(request, kind, count):
    response = download(request, many_locations(count), kind, "answers")
    return b"".join([chunk async for chunk in response])


def test_download__is_the_same_where_the_server_is_asynchronous():
    for kind in KINDS:
        request = AsyncRequestFactory().get("/")
        given = async_to_sync(download_in_full)(request, kind, 1_200)
        plain = download(RequestFactory().get("/"), many_locations(1_200), kind, "answers")
        assert given == b"".join(plain)


@pytest.mark.django_db
def test_download__that_is_broken_off_ends_the_query():
    ended = []

    def locations():
        try:
            yield from many_locations(5_000)
        finally:
            ended.append(True)

    async def begin():
        response = download(AsyncRequestFactory().get("/"), locations(), "csv", "answers")
        await anext(aiter(response))
        # As Django's handler does it when the reader is gone.
        await sync_to_async(response.close)()
        # Here: when nobody holds the response any more, it ends by itself.
        assert ended

    async_to_sync(begin)()
