import pytest

from geocache.models import GeoCache
from tests.admin.asking import LIST, explain, shown
from tests.factories import (
    a_row,
    many_locations,
)

pytestmark = [
    pytest.mark.django_db,
    # WhiteNoise, where nobody has run collectstatic.
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),
]


def test_filter__countries_are_those_present_by_name(viewer):
    for number, code in enumerate(["US", "GB", "XK", "AX", "GB", ""]):
        a_row(f"20.0.0.{number}", country_code=code, reason="" if code else "not_found")
    spec = viewer.get(LIST).context["cl"].filter_specs[0]
    assert [name for _, name in spec.lookup_choices] == [
        "Kosovo",
        "United Kingdom",
        "United States of America",
        "Åland Islands",
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
