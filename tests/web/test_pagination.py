from datetime import timedelta

import pytest

from geocache.exceptions import InvalidCursor
from geocache.models import GeoCache
from geocache.web.pagination import ORDERS, read_page
from tests.factories import NOON, a_location, many_locations
from tests.support.assertions import no_database_write

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows():
    """Twelve rows, at four moments, three at each."""
    locations = [
        a_location(one.address, resolved_at=NOON + timedelta(seconds=number % 4))
        for number, one in enumerate(many_locations(11))
    ]
    GeoCache.objects.upsert([*locations, a_location("2001:db8::1", resolved_at=NOON)])
    return GeoCache.objects.all()


def addresses(rows):
    return [row.address for row in rows]


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("size", [1, 2, 5, 12, 50])
def test_read_page__forwards_and_back_shows_every_row_once(rows, name, size):
    order = ORDERS[name]
    wanted = addresses(rows.order_by(*order))
    pages = [read_page(rows, order, size=size)]
    while pages[-1].after:
        pages.append(read_page(rows, order, after=pages[-1].after, size=size))
    assert [one for page in pages for one in addresses(page.rows)] == wanted
    back = [pages[-1]]
    while back[-1].before:
        back.append(read_page(rows, order, before=back[-1].before, size=size))
    assert [addresses(page.rows) for page in back] == [addresses(one.rows) for one in pages[::-1]]


@pytest.mark.parametrize("name", ["newest", "oldest"])
def test_read_page__order_may_begin_with_a_field_of_one_value(rows, name):
    order = (ORDERS[name][0].replace("resolved_at", "source"), *ORDERS[name])
    first = read_page(rows, order, size=5)
    second = read_page(rows, order, after=first.after, size=5)
    assert addresses([*first.rows, *second.rows]) == addresses(rows.order_by(*ORDERS[name])[:10])
    assert addresses(read_page(rows, order, before=second.before, size=5).rows) == addresses(
        first.rows
    )


def test_read_page__first_and_last_have_no_neighbour(rows):
    assert read_page(rows, ORDERS["oldest"], size=12).before == ""
    assert read_page(rows, ORDERS["oldest"], size=12).after == ""
    assert read_page(rows.none(), ORDERS["oldest"]).rows == []


def test_read_page__goes_on_where_the_row_of_the_cursor_is_gone(rows):
    first = read_page(rows, ORDERS["address"], size=3)
    wanted = addresses(rows.order_by("sort_key")[3:6])
    GeoCache.objects.filter(address=first.rows[-1].address).delete()
    after = read_page(rows, ORDERS["address"], after=first.after, size=3)
    assert addresses(after.rows) == wanted


def test_read_page__keeps_the_filter_of_its_rows(rows):
    some = rows.filter(resolved_at=NOON)
    first = read_page(some, ORDERS["newest"], size=2)
    rest = read_page(some, ORDERS["newest"], after=first.after, size=5)
    assert len(first.rows) + len(rest.rows) == some.count()


def test_read_page__costs_two_queries_at_most_and_counts_nothing(rows):
    after = read_page(rows, ORDERS["newest"], size=2).after
    with no_database_write(max_queries=2) as queries:
        read_page(rows, ORDERS["newest"], after=after, size=5)
    assert "COUNT" not in str(queries.captured_queries)
    assert "OFFSET" not in str(queries.captured_queries)


@pytest.mark.parametrize(
    "cursor", ["x", "~", "1~", "1~x", "x~8.8.8.8", f"{10**30}~8.8.8.8", "1~8.8.8.8~", "٣~x", "\0"]
)
def test_read_page__broken_cursor_is_said(rows, cursor):
    with pytest.raises(InvalidCursor):
        read_page(rows, ORDERS["newest"], after=cursor)
    with pytest.raises(InvalidCursor):
        read_page(rows, ORDERS["newest"], before=cursor)
