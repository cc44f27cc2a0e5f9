from datetime import timedelta

import pytest
from django.http import QueryDict

from geocache.models import GeoCache
from geocache.statistics.table import read_statistics, refresh_statistics
from geocache.trait_names import trait_name
from geocache.web.filters import AddressFilter, named_choices
from tests.factories import LONDON, MOSCOW_V6, NOON, a_location

pytestmark = pytest.mark.django_db

ROWS = (
    a_location(
        asn=64500,
        source="Old 2019-12-24",
        resolved_at=NOON - timedelta(days=2),
        region_code="GB-ENG",
        traits=("anonymous", "anonymous_vpn"),
    ),
    a_location(
        MOSCOW_V6,
        country_code="RU",
        network="2a02:6b8::/32",
        asn=13238,
        user_type="residential",
        connection_type="Cable/DSL",
    ),
    # A record that names a continent only.
    a_location("8.8.4.4", country_code="", continent_code="AF", traits=("anycast",)),
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
        ("", {LONDON, MOSCOW_V6, "9.9.9.9", "8.8.4.4"}),
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
        ("network=0.0.0.0/0", {LONDON, "9.9.9.9", "8.8.4.4"}),
        ("source=Old 2019-12-24", {LONDON}),
        ("source=Old", set()),
        ("since=2026-01-02", {MOSCOW_V6, "9.9.9.9", "8.8.4.4"}),
        ("until=2026-01-01", {LONDON}),
        ("since=2025-12-31&until=2025-12-31", {LONDON}),
        ("unresolved=1", {"9.9.9.9"}),
        ("country=GB&asn=64500&network=81.0.0.0/8&until=2026-01-01", {LONDON}),
        ("country=GB&unresolved=1", set()),
        ("trait=anonymous_vpn", {LONDON}),
        ("trait=vpn", set()),
        ("trait=nonymous", set()),
        ("trait=anonymous%25vpn", set()),
        ("continent=EU", {LONDON, MOSCOW_V6}),
        ("continent=AF", {"8.8.4.4"}),
        ("continent=OC", set()),
        ("region=GB-ENG", {LONDON}),
        ("region=gb-eng", {LONDON}),
        ("region=GB-SCT", set()),
        ("user_type=residential", {MOSCOW_V6}),
        ("user_type=nothing", set()),
        ("connection_type=Cable/DSL", {MOSCOW_V6}),
        ("trait=anonymous&continent=EU&region=GB-ENG&country=GB", {LONDON}),
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
        ("trait=a,b", "The kind of network is a word, such as anonymous_vpn."),
        (f"trait={'x' * 41}", "The kind of network is a word, such as anonymous_vpn."),
        ("continent=Europe", "“Europe” is not the code of a continent."),
        ("region=England", "The region is a code of ISO 3166-2, such as GB-ENG."),
        ("region=GB", "The region is a code of ISO 3166-2, such as GB-ENG."),
        (
            f"user_type={'x' * 41}",
            f"“{'x' * 39}…” is not a type that an answer can name.",
        ),
        (
            f"connection_type={'x' * 41}",
            f"“{'x' * 39}…” is not a type that an answer can name.",
        ),
        ("trait=a&trait=b", "The filter “trait” is given twice."),
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
    form.offer_choices(read_statistics(), with_lists=True)
    shown = str(form["country"]), str(form["source"])
    assert '<option value="FR" selected>' in shown[0]
    assert '<option value="GB">United Kingdom</option>' in shown[0]
    assert '<option value="RU">Russia</option>' in shown[0]
    assert '<option value="Old 2019-12-24">' in shown[1]


@pytest.mark.usefixtures("rows")
def test_filter__kinds_are_offered_by_what_was_counted(monkeypatch):
    monkeypatch.setattr("geocache.web.filters.label_names", lambda: ["bot"])
    refresh_statistics(NOON)
    form = a_filter("trait=tor_exit_node")
    form.offer_choices(read_statistics(), with_lists=True)
    shown = str(form["trait"])
    assert '<option value="anonymous_vpn">VPN</option>' in shown
    assert '<option value="bot">Bot</option>' in shown
    assert '<option value="tor_exit_node" selected>' in shown
    assert '<option value="residential">Household</option>' in str(form["user_type"])
    assert '<option value="Cable/DSL">Cable or DSL</option>' in str(form["connection_type"])
    form.offer_choices(read_statistics(), with_lists=False)
    assert "bot" not in str(form["trait"])


@pytest.mark.usefixtures("rows")
def test_filter__trait_that_is_a_label_of_lists_finds_their_addresses(monkeypatch):
    monkeypatch.setattr("geocache.web.filters.label_names", lambda: ["anycast"])
    monkeypatch.setattr(
        "geocache.web.filters.rows_with", lambda rows, _label: rows.filter(address=LONDON)
    )
    assert {row.address for row in a_filter("trait=anycast").rows()} == {LONDON, "8.8.4.4"}


def test_filter__two_kinds_of_one_name_are_told_apart():
    named = dict(named_choices(["hosting", "hosting_provider", "bot"], trait_name))
    assert named["bot"] == "Bot"
    assert named["hosting"] == "Data centre (hosting)"
    assert named["hosting_provider"] == "Data centre (hosting_provider)"


def test_filter__fields_of_few_are_folded_unless_one_is_in_use():
    assert not a_filter("country=GB&trait=vpn").is_unfolded()
    assert a_filter("continent=EU").is_unfolded()
    shown = [field.name for field in a_filter("").shown_fields()]
    assert shown == ["country", "asn", "network", "trait", "sort"]


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    "query",
    ["trait=ANONYMOUS_VPN", "region=gb-eng", "continent=eu&trait=Anonymous", "country=gb"],
)
def test_filter__codes_and_labels_are_found_in_capital_and_in_small_letters(query):
    form = AddressFilter(QueryDict(query))
    assert form.is_valid()
    assert LONDON in form.rows().values_list("address", flat=True)


@pytest.mark.parametrize("name", ["user_type", "connection_type"])
def test_filter__a_type_that_is_too_long_is_named(name):
    form = AddressFilter(QueryDict(f"{name}={'x' * 41}"))
    assert not form.is_valid()
    (problem,) = form.problems()
    assert problem.startswith("“xxx")
