from datetime import timedelta

import pytest
from django.utils.html import escape

from geocache.models import GeoCache
from geocache.trait_names import trait_name
from tests.factories import (
    LONDON,
    MOSCOW_V6,
    NOON,
    a_row,
    a_stranger,
    an_admin,
    many_locations,
    use_dummy_provider,
)
from tests.support.assertions import assert_is_page, no_database_write

pytestmark = pytest.mark.django_db
MOVES = "/moves/"
# The session and its user; the moves, in up to two ranges of an index.
QUERIES = 4 + 2
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def provider(settings):
    return use_dummy_provider(settings)


@pytest.fixture
def moved():
    a_row(asn=64500, organization="Old <Networks>")
    a_row(city="Leeds", asn=64501, organization="New Networks", resolved_at=NOON + 5 * DAY)
    a_row(MOSCOW_V6, country_code="RU", city="")
    a_row(MOSCOW_V6, country_code="FR", city="", resolved_at=NOON + 9 * DAY)


def show(client, query=""):
    with no_database_write(max_queries=QUERIES):
        response = client.get(MOVES + query)
    assert_is_page(response)
    return response.text


def listed(text):
    return [one for one in (LONDON, MOSCOW_V6) if f"/addresses/{one}/" in text]


def test_moves__only_staff(client):
    assert client.get(MOVES).status_code == 302
    client.force_login(a_stranger())
    assert client.get(MOVES).status_code == 403


def test_moves__none_yet(viewer):
    assert "No address has moved yet" in show(viewer)
    assert "No move in the table is like that" in show(viewer, "?country=DE")


@pytest.mark.usefixtures("moved")
def test_moves__newest_first_with_both_sides(viewer):
    text = show(viewer)
    assert text.index(MOSCOW_V6) < text.index(LONDON)
    for part in ("London", "Leeds", "Old &lt;Networks&gt;", "New Networks", "Russia", "France"):
        assert part in text


@pytest.mark.usefixtures("moved")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?country=gb", [LONDON]),
        ("?country=RU", [MOSCOW_V6]),
        ("?new_country=FR", [MOSCOW_V6]),
        ("?since=2026-01-08", [MOSCOW_V6]),
        ("?until=2026-01-08", [LONDON]),
        ("?country=&since=&kind=", [LONDON, MOSCOW_V6]),
        ("?kind=country", [MOSCOW_V6]),
        ("?kind=city", [LONDON]),
        ("?kind=operator&country=GB", [LONDON]),
        ("?kind=traits", []),
    ],
)
def test_moves__filters(viewer, query, expected):
    assert listed(show(viewer, query)) == expected


def test_moves__says_what_changed_with_regions_and_kinds_of_network(viewer):
    a_row(region="England", traits=("hosting",))
    a_row(city="Cardiff", region="Wales", traits=("<tor>",), resolved_at=NOON + DAY)
    text = show(viewer)
    assert "region, city, kind of network" in text
    badges = [trait_name("hosting"), escape(trait_name("<tor>"))]
    for part in ("England, London", "Wales, Cardiff", *(f">{one}<" for one in badges)):
        assert part in text


def test_moves__badges_look_as_on_the_page_of_an_address(viewer):
    a_row()
    a_row(traits=("anonymous", "anonymous_vpn"), resolved_at=NOON + DAY)
    text = show(viewer)
    assert "geo-badge is-attention" in text
    assert f">{trait_name('anonymous')}<" not in text


def test_moves__a_side_with_an_operator_alone_is_not_unknown(viewer):
    a_row()
    place = {"country_code": "", "city": "", "latitude": None, "longitude": None}
    a_row(asn=64500, organization="Networks", resolved_at=NOON + DAY, **place)
    text = show(viewer)
    assert "AS64500" in text
    assert "Nothing known" not in text


@pytest.mark.parametrize(
    "query", ["?country=Atlantis", "?since=soon", "?after=x", "?country=%00", "?kind=mood"]
)
def test_moves__what_cannot_be_used_is_said(viewer, query):
    assert 'class="errorlist"' in show(viewer, query)


def test_moves__pages_show_every_move_once(viewer):
    GeoCache.objects.upsert(many_locations(60))
    GeoCache.objects.upsert(many_locations(60, city="Leeds", resolved_at=NOON + DAY))
    first = viewer.get(MOVES).context["page"]
    second = viewer.get(f"{MOVES}?after={first.after}").context["page"]
    seen = [row.address for row in [*first.rows, *second.rows]]
    assert (len(seen), len(set(seen)), second.after) == (60, 60, "")
    back = viewer.get(f"{MOVES}?before={second.before}").context["page"]
    assert [row.pk for row in back.rows] == [row.pk for row in first.rows]


# --- the page of an address, and the admin ---------------------------------------------------


@pytest.mark.usefixtures("moved")
def test_address_page__former_answers_and_the_day(viewer):
    url = f"/addresses/{LONDON}/"
    with no_database_write(max_queries=12):
        response = viewer.get(f"{url}?on=2026-01-03")
    assert_is_page(response)
    assert response.context["then"].answer.city == "London"
    assert [one.answer.city for one in response.context["spans"]] == ["London"]
    assert viewer.get(f"{url}?on=2026-05-01").context["then"].answer.city == "Leeds"
    assert "Nothing was known about it then" in viewer.get(f"{url}?on=2025-05-01").text
    assert "Give a day as" in viewer.get(f"{url}?on=soon").text


def test_address_page__former_answers_show_region_and_kind_of_network(viewer):
    a_row(region="Kent", traits=("anonymous_vpn",))
    a_row(region="Surrey", resolved_at=NOON + DAY)
    text = viewer.get(f"/addresses/{LONDON}/").text
    past = text[text.index("Valid from") :]
    assert "Kent" in past
    assert f">{trait_name('anonymous_vpn')}<" in past


@pytest.mark.usefixtures("moved")
def test_admin__past_on_the_page_of_a_row_and_a_list_that_nobody_changes(client):
    client.force_login(an_admin())
    page = client.get(f"/admin/geocache/geocache/{LONDON}/change/").text
    assert "United Kingdom, London, AS64500 Old &lt;Networks&gt;" in page
    listing = client.get("/admin/geocache/answerhistory/")
    assert (listing.status_code, LONDON in listing.text) == (200, True)
    assert client.get("/admin/geocache/answerhistory/add/").status_code == 403
