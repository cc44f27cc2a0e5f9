import csv
import io
import json

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncRequestFactory, RequestFactory

from geocache import exports
from geocache.exports import KINDS, download, to_csv, to_json, to_json_lines
from geocache.location import FIELDS
from tests.factories import NOON, a_location, many_locations


def rows_of(*locations):
    return list(csv.DictReader(io.StringIO("".join(to_csv(locations)))))


def test_csv__has_all_fields_by_name():
    [row] = rows_of(a_location(latitude=51.5, longitude=-0.1, asn=64500, city='Ü, "x"'))
    assert tuple(row) == FIELDS
    assert row["address"] == "81.2.69.142"
    assert row["city"] == 'Ü, "x"'
    assert row["resolved_at"] == NOON.isoformat()
    assert row["time_zone"] == ""


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_csv__text_that_a_spreadsheet_would_run_is_text(first):
    [row] = rows_of(a_location(organization=f"{first}HYPERLINK(1)"))
    assert row["organization"] == f"'{first}HYPERLINK(1)"


def test_csv__numbers_below_zero_stay_numbers():
    [row] = rows_of(a_location(latitude=-33.9, longitude=-151.2))
    assert (row["latitude"], row["longitude"]) == ("-33.9", "-151.2")


def test_csv__minus_inside_a_text_stays():
    [row] = rows_of(a_location(organization="A-B =1"))
    assert row["organization"] == "A-B =1"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json__is_one_array(count):
    locations = many_locations(count)
    assert json.loads("".join(to_json(locations))) == [one.to_plain() for one in locations]


def test_json_lines__is_one_object_a_line():
    locations = [a_location(city="Zürich\n"), a_location("8.8.8.8", reason="not_found")]
    lines = "".join(to_json_lines(locations)).splitlines()
    assert [json.loads(line) for line in lines] == [one.to_plain() for one in locations]


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
