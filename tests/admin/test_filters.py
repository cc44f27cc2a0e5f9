import pytest

from geocache.models import GeoCache
from geocache.statistics.table import refresh_statistics
from tests.factories import (
    a_location,
    a_row,
    many_locations,
)
from tests.support.admin_pages import LIST, explain, shown

pytestmark = pytest.mark.django_db


def test_filter__countries_are_those_present_by_name(viewer):
    for number, code in enumerate(["US", "GB", "XK", "AX", "GB", ""]):
        a_row(f"20.0.0.{number}", country_code=code, reason="" if code else "not_found")
    spec = viewer.get(LIST).context["cl"].filter_specs[0]
    assert [name for _, name in spec.lookup_choices] == [
        "Åland Islands",
        "Kosovo",
        "United Kingdom",
        "United States of America",
    ]


def test_filter__countries_take_one_query_of_index_steps(django_assert_num_queries):
    GeoCache.objects.upsert(many_locations(300, country_code="GB"))
    a_row("9.9.9.9", country_code="US")
    with django_assert_num_queries(1):
        assert GeoCache.countries() == ["GB", "US"]


def test_filter__empty_table_has_no_countries(viewer):
    assert shown(viewer) == []
    assert GeoCache.countries() == []


def test_filter__by_country_and_answer(viewer):
    a_row("1.1.1.1", country_code="AU")
    a_row("9.9.9.9", country_code="US")
    a_row("8.8.8.8", country_code="", reason="not_found")
    assert shown(viewer, country="AU") == ["1.1.1.1"]
    assert set(shown(viewer, answer="found")) == {"1.1.1.1", "9.9.9.9"}
    assert shown(viewer, answer="empty") == ["8.8.8.8"]
    assert shown(viewer, country="AU", q="9.9.9.9") == []
    assert len(shown(viewer, answer="nonsense")) == 3


def test_filter__few_empty_answers_are_found_by_index(superuser):
    GeoCache.objects.upsert(many_locations(2000))
    a_row("8.8.8.8", country_code="", reason="not_found")
    changes = superuser.get(LIST, {"answer": "empty"}).context["cl"]
    assert "geocache_unresolved" in explain(changes.queryset)


def test_filter__counts_are_those_of_the_statistics(viewer):
    GeoCache.objects.upsert(many_locations(1200, country_code="GB", asn=64500, organization="Nets"))
    a_row("9.9.9.9", country_code="US")
    a_row("8.8.8.8", country_code="", reason="not_found")
    refresh_statistics()
    specs = viewer.get(LIST).context["cl"].filter_specs
    # Kinds that no answer names are not offered.
    countries, continents, operators, outcomes = specs[:4]
    assert continents.lookup_choices == [("EU", "Europe (1,200)"), ("NA", "North America (1)")]
    assert countries.lookup_choices == [
        ("GB", "United Kingdom (1,200)"),
        ("US", "United States of America (1)"),
    ]
    assert operators.lookup_choices == [("64500", "AS64500 Nets (1,200)")]
    assert outcomes.lookup_choices == [("found", "found (1,201)"), ("empty", "never resolved (1)")]


def test_filter__by_operator(viewer):
    a_row("1.1.1.1", asn=64500)
    a_row("9.9.9.9", asn=64501)
    assert shown(viewer, asn="64500") == ["1.1.1.1"]
    spec = viewer.get(LIST, {"asn": "64500"}).context["cl"].filter_specs[1]
    assert spec.lookup_choices == [("64500", "AS64500")]
    assert shown(viewer, asn=str(10**30)) == []


def test_filter__operator_that_is_no_number_is_refused(viewer):
    assert viewer.get(LIST, {"asn": "x"}).url == f"{LIST}?e=1"


def test_filter__operator_is_a_range_of_an_index(superuser):
    GeoCache.objects.upsert(many_locations(2000, asn=1))
    GeoCache.objects.upsert([a_location("9.9.9.9", asn=2)])
    changes = superuser.get(LIST, {"asn": "2"}).context["cl"]
    assert "geocache_asn" in explain(changes.queryset)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("trait=anonymous_vpn", ["81.2.69.142"]),
        ("trait=bot", []),
        ("continent=EU", ["81.2.69.142"]),
        ("continent=XX", []),
        ("region=GB-ENG", ["81.2.69.142"]),
        ("user_type=residential", ["9.9.9.9"]),
        ("connection_type=Cellular", ["9.9.9.9"]),
    ],
)
def test_filter__kinds(viewer, query, found):
    a_row(region_code="GB-ENG", traits=("anonymous", "anonymous_vpn"))
    a_row("9.9.9.9", country_code="US", user_type="residential", connection_type="Cellular")
    page = viewer.get(f"{LIST}?{query}")
    assert [row.address for row in page.context["cl"].result_list] == found
    # What is chosen is named, also before it is counted.
    name = query.partition("=")[0]
    assert name in [
        spec.parameter_name
        for spec in page.context["cl"].filter_specs
        if hasattr(spec, "parameter_name")
    ]


def test_filter__trait_that_cannot_be_one_is_passed_over(viewer):
    assert viewer.get(f"{LIST}?trait=a,b").url == f"{LIST}?e=1"
