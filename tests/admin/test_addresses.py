import re
from datetime import timedelta

import pytest
from django.db import connection

from geocache.admin import pagination
from geocache.models import GeoCache
from geocache.statistics.table import refresh_statistics
from tests.factories import (
    LONDON,
    MOSCOW_V6,
    NOON,
    a_row,
    many_locations,
)
from tests.support.admin_pages import LIST, LIST_QUERIES, explain, said, shown
from tests.support.assertions import assert_valid_html, no_database_write

pytestmark = pytest.mark.django_db


def test_admin__detail_shows_numbers_of_systems_without_separators(viewer):
    a_row(asn=64500, organization="Test Networks", latitude=51.5)
    text = viewer.get(f"{LIST}{LONDON}/change/").text
    assert "AS64500 Test Networks" in text
    assert "🇬🇧 United Kingdom" in text
    assert 'name="_save"' not in text


def test_detail__says_when_the_address_was_last_asked_for(viewer):
    a_row(LONDON)
    page = viewer.get(f"/admin/geocache/geocache/{LONDON}/change/").text
    assert "Last requested:" in page
    assert "Jan. 2, 2026</div>" in page


def test_list__shows_flag_country_operator_and_a_link_to_the_network(viewer):
    a_row(asn=64500, organization="<b>Networks")
    a_row("8.8.8.8", country_code="", city="", reason="not_found", network="")
    text = viewer.get(LIST).text
    assert "🇬🇧 United Kingdom" in text
    assert "AS64500 &lt;b&gt;Networks" in text
    assert '<a href="?q=81.2.69.0/24">81.2.69.0/24</a>' in text
    assert "(not found)" in text


def test_list__newest_is_first(viewer):
    for hours, address in enumerate(["1.1.1.1", "9.9.9.9", "5.5.5.5"]):
        a_row(address, resolved_at=NOON + timedelta(hours=hours))
    assert shown(viewer) == ["5.5.5.5", "9.9.9.9", "1.1.1.1"]


def test_list__addresses_sort_as_numbers(viewer):
    for address in ("100.0.0.1", "20.0.0.1", "3.0.0.1", MOSCOW_V6):
        a_row(address)
    assert shown(viewer, o="2") == ["3.0.0.1", "20.0.0.1", "100.0.0.1", MOSCOW_V6]


def test_list__only_what_an_index_sorts_can_be_sorted(viewer):
    a_row()
    links = re.findall(r'class="sortable.*?column-(\w+)', viewer.get(LIST).text, re.DOTALL)
    assert links == ["address_text", "resolved_at"]


def test_list__queries_do_not_grow_with_the_rows(viewer):
    GeoCache.objects.upsert(many_locations(150, asn=1))
    assert len(shown(viewer)) == 50


def test_list__counts_no_further_than_its_limit(viewer, monkeypatch):
    monkeypatch.setattr(pagination, "LIST_LIMIT", 20)
    GeoCache.objects.upsert(many_locations(30))
    with no_database_write(max_queries=LIST_QUERIES) as queries:
        response = viewer.get(LIST)
    assert response.context["cl"].result_count == 20
    assert "The first 20 are listed" in response.text
    assert_valid_html(response)
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 20" in sql for sql in counts)


def test_list__short_one_can_be_drilled_down_by_date(viewer):
    a_row("1.1.1.1", resolved_at=NOON)
    a_row("9.9.9.9", resolved_at=NOON + timedelta(days=400))
    assert "2027" in viewer.get(LIST).text
    assert shown(viewer, resolved_at__year="2027") == ["9.9.9.9"]


NEIGHBOURS = ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", "2001:db8::1")


@pytest.fixture
def neighbours():
    for address in (*NEIGHBOURS, "2001:db9::"):
        a_row(address)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("203.0.113.0/24", {"203.0.113.0", "203.0.113.255"}),
        (" 203.0.113.77/24 ", {"203.0.113.0", "203.0.113.255"}),
        ("203.0.113.", {"203.0.113.0", "203.0.113.255"}),
        ("203.0.113", {"203.0.113.0", "203.0.113.255"}),
        ("203.0.", set(NEIGHBOURS[:4])),
        ("203.", set(NEIGHBOURS[:4])),
        ("203.0.113.255", {"203.0.113.255"}),
        ("::ffff:203.0.113.255", {"203.0.113.255"}),
        ("203.0.113.1", set()),
        ("2001:db8::/32", {"2001:db8::1"}),
        ("2001:0DB8:0::1", {"2001:db8::1"}),
        ("2001:db8::1/128", {"2001:db8::1"}),
        ("", {*NEIGHBOURS, "2001:db9::"}),
    ],
)
@pytest.mark.usefixtures("neighbours")
def test_search__address_network_or_beginning(viewer, text, found):
    assert set(shown(viewer, q=text)) == found
    assert said(viewer.get(LIST, {"q": text})) == []


@pytest.mark.parametrize(
    "text",
    [
        "London",
        "203",
        "300.0.",
        "1.2.3.4.5",
        "203.0.113.0/33",
        "/",
        "1.2.3.4 5.6.7.8",
        "١.٢.",  # noqa: RUF001 - digits that are not ASCII
        "' OR 1=1 --",
        "<b>x</b>",
        "%s %(text)s",
        "x" * 2000,
    ],
)
@pytest.mark.usefixtures("neighbours")
def test_search__anything_else_finds_nothing_and_says_what_can_be_searched(viewer, text):
    assert shown(viewer, q=text) == []
    response = viewer.get(LIST, {"q": text})
    [message] = said(response)
    assert "cannot be searched for. Search for an address, a network" in message
    assert "<b>x" not in response.text


@pytest.mark.parametrize("text", ["203.0.113.0/24", "203.0.", "2001:db8::/32"])
def test_search__network_is_a_range_of_the_index(text):
    GeoCache.objects.upsert(many_locations(2000))
    explained = explain(GeoCache.objects.search(text))
    # PostgreSQL sorts addresses themselves.
    name = "geocache_pkey" if connection.vendor == "postgresql" else "geocache_sort_key"
    assert name in explained
    assert not re.search(r"Seq Scan|^SCAN", explained, re.MULTILINE)


def test_search__address_is_found_by_its_key():
    GeoCache.objects.upsert(many_locations(2000))
    explained = explain(GeoCache.objects.search("20.0.0.1"))
    assert not re.search(r"Seq Scan|^SCAN", explained, re.MULTILINE)


def test_search__network_is_listed_by_address(viewer):
    for hours, address in enumerate(["203.0.113.9", "203.0.113.100", "203.0.113.77"]):
        a_row(address, resolved_at=NOON + timedelta(hours=hours))
    assert shown(viewer, q="203.0.113.0/24") == ["203.0.113.9", "203.0.113.77", "203.0.113.100"]


def test_search__asks_for_no_dates_of_a_network(viewer):
    a_row()
    with no_database_write(max_queries=LIST_QUERIES) as queries:
        viewer.get(LIST, {"q": "81.0.0.0/8"})
    assert not [
        query for query in queries if '"least"' in query["sql"] or '"first"' in query["sql"]
    ]


def test_list__column_that_no_index_sorts_is_not_sorted_by_hand_either(viewer):
    for hours, address in enumerate(["9.9.9.9", "1.1.1.1"]):
        a_row(address, city=str(hours), resolved_at=NOON + timedelta(hours=hours))
    assert shown(viewer, o="3") == shown(viewer, o="-3") == ["1.1.1.1", "9.9.9.9"]


def test_list__says_how_many_there_are_about(viewer, monkeypatch):
    monkeypatch.setattr(pagination, "LIST_LIMIT", 20)
    GeoCache.objects.upsert(many_locations(30))
    refresh_statistics()
    assert "The table has about 30 addresses, of which the first 20" in viewer.get(LIST).text
    assert "The table has about" not in viewer.get(LIST, {"q": "20.0.0.0/8"}).text


def test_detail__leads_to_the_page_of_the_address(viewer):
    a_row()
    assert (
        f'href="/addresses/{LONDON}/" class="viewsitelink"'
        in viewer.get(f"{LIST}{LONDON}/change/").text
    )


def test_detail__project_without_these_pages_has_no_link_to_them(viewer, settings):
    settings.ROOT_URLCONF = "tests.support.admin_only_urls"
    a_row()
    assert "viewsitelink" not in viewer.get(f"{LIST}{LONDON}/change/").text


def test_list__speaks_of_results_only_where_something_was_asked_for(viewer):
    a_row()
    assert "1 result" not in viewer.get(LIST).text
    assert "1 result" in viewer.get(LIST, {"country": "GB"}).text


def test_list__reads_the_dates_of_its_hierarchy_from_an_index(viewer):
    a_row()
    with no_database_write(max_queries=LIST_QUERIES) as queries:
        viewer.get(LIST)
    asked = [query["sql"] for query in queries]
    assert not [sql for sql in asked if "MIN(" in sql and "MAX(" in sql]
    assert not [sql for sql in asked if "DISTINCT" in sql and "resolved_at" in sql]
