from datetime import timedelta

import pytest
from django.http import QueryDict

from geocache.models import GeoCache
from geocache.web.filters import AddressFilter
from tests.factories import LONDON, MOSCOW_V6, NOON, a_location

pytestmark = pytest.mark.django_db

ROWS = (
    a_location(asn=64500, source="Old 2019-12-24", resolved_at=NOON - timedelta(days=2)),
    a_location(MOSCOW_V6, country_code="RU", network="2a02:6b8::/32", asn=13238),
    a_location("9.9.9.9", country_code="", reason="not_found", resolved_at=NOON),
)


@pytest.fixture
def rows():
    GeoCache.objects.upsert(ROWS)


def a_filter(query: str) -> AddressFilter:
    form = AddressFilter(QueryDict(query))
    form.is_valid()
    return form


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {LONDON, MOSCOW_V6, "9.9.9.9"}),
        ("country=GB", {LONDON}),
        ("country=ru", {MOSCOW_V6}),
        ("country=DE", set()),
        ("asn=64500", {LONDON}),
        ("asn=AS13238", {MOSCOW_V6}),
        ("asn=as13238", {MOSCOW_V6}),
        ("asn=0", set()),
        ("network=81.2.0.0/16", {LONDON}),
        ("network=81.2.69.142", {LONDON}),
        ("network=2a02::/16", {MOSCOW_V6}),
        ("network=0.0.0.0/0", {LONDON, "9.9.9.9"}),
        ("source=Old 2019-12-24", {LONDON}),
        ("source=Old", set()),
        ("since=2026-01-02", {MOSCOW_V6, "9.9.9.9"}),
        ("until=2026-01-01", {LONDON}),
        ("since=2025-12-31&until=2025-12-31", {LONDON}),
        ("unresolved=1", {"9.9.9.9"}),
        ("country=GB&asn=64500&network=81.0.0.0/8&until=2026-01-01", {LONDON}),
        ("country=GB&unresolved=1", set()),
    ],
)
@pytest.mark.usefixtures("rows")
def test_filter__finds(query, found):
    assert {row.address for row in a_filter(query).rows()} == found


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("country=Germany", "The country is a code of two letters, such as DE."),
        ("country=1", "The country is a code of two letters, such as DE."),
        ("asn=x", "The operator is an AS number, such as AS64500."),
        ("asn=-1", "The operator is an AS number, such as AS64500."),
        ("asn=4294967296", "The operator is an AS number, such as AS64500."),
        ("asn=99999999999999999999", "The operator is an AS number, such as AS64500."),
        ("asn=٣", "The operator is an AS number, such as AS64500."),
        ("since=yesterday", "Give a day as 2026-01-31."),
        ("since=0001-01-01", "Give a day as 2026-01-31."),
        ("until=9999-12-31", "Give a day as 2026-01-31."),
        ("until=2026-02-30", "Give a day as 2026-01-31."),
        ("since=2026-01-02&until=2026-01-01", "The last day is before the first."),
        ("sort=city", "“city” is no order of this list."),
        ("unresolved=yes", "“yes” is not 1, for addresses without answer."),
        ("contry=DE", "There is no filter “contry”."),
        ("country=DE&country=FR", "The filter “country” is given twice."),
        (
            "network=example.org",
            "“example.org” is not a network, such as 203.0.113.0/24 or 2001:db8::/32.",
        ),
        (
            "network=1.2.3.4/33",
            "“1.2.3.4/33” is not a network, such as 203.0.113.0/24 or 2001:db8::/32.",
        ),
        ("x%00=1", "There is no filter “x\ufffd”."),
    ],
)
def test_filter__value_that_cannot_be_used_is_one_line(query, problem):
    assert a_filter(query).problems() == [problem]


@pytest.mark.parametrize(
    ("query", "told"), [("", False), ("sort=oldest&after=x", False), ("asn=1", True)]
)
def test_filter__tells_whether_it_is_one(query, told):
    assert a_filter(query).is_filtered() is told


@pytest.mark.parametrize("day", ["1970-01-02", "2999-12-31"])
@pytest.mark.usefixtures("rows")
def test_filter__outermost_days_are_days(day):
    assert len(a_filter(f"since={day}").rows()) + len(a_filter(f"until={day}").rows()) == len(ROWS)


def test_filter__order_within_a_source_reads_its_index():
    assert a_filter("source=x").order() == ("-source", "-resolved_at", "-address")
    assert a_filter("source=x&sort=oldest").order() == ("source", "resolved_at", "address")
    assert a_filter("source=x&sort=address").order() == ("sort_key",)
    assert a_filter("").order() == ("-resolved_at", "-address")


def test_filter__network_is_by_address_unless_another_order_is_asked_for():
    assert a_filter("network=10.0.0.0/8").order() == ("sort_key",)
    assert a_filter("network=10.0.0.0/8&sort=newest").order() == ("-resolved_at", "-address")


@pytest.mark.usefixtures("rows")
def test_filter__offers_what_the_table_has_and_what_is_asked_for():
    form = a_filter("country=FR")
    form.offer_choices(with_lists=True)
    shown = str(form["country"]), str(form["source"])
    assert '<option value="FR" selected>' in shown[0]
    assert '<option value="GB">United Kingdom</option>' in shown[0]
    assert '<option value="RU">Russia</option>' in shown[0]
    assert '<option value="Old 2019-12-24">' in shown[1]
