import pytest
from django.utils.translation import override

from geocache import trait_names
from geocache.trait_names import badges, detail_name, detail_value, most_telling
from geocache.traits import ANONYMOUS, HOSTING


@pytest.mark.parametrize("trait", sorted(ANONYMOUS | HOSTING))
def test_trait_name__each_that_counts_has_a_name_and_an_explanation(trait):
    assert trait in trait_names.TRAITS
    assert trait_names.trait_explanation(trait).endswith(".")


@pytest.mark.parametrize(
    ("trait", "shown"),
    [("anonymous_vpn", "VPN"), ("crawler_farm", "Crawler farm"), ("", ""), ("_", "")],
)
def test_trait_name__unknown_one_is_said_in_words(trait, shown):
    assert trait_names.trait_name(trait) == shown
    assert not trait_names.trait_explanation("crawler_farm")


def test_names__of_users_and_connections_do_not_depend_on_case():
    assert trait_names.user_type_name("Residential") == "Household"
    assert trait_names.connection_type_name("cable/dsl") == "Cable or DSL"
    assert trait_names.connection_type_name("fibre_optic") == "Fibre optic"


def test_most_telling__anonymous_is_left_out_where_another_says_how():
    traits = ("anonymous", "anycast", "hosting", "tor_exit_node")
    assert most_telling(traits) == ["tor_exit_node", "hosting", "anycast"]
    assert most_telling(("anonymous", "anycast")) == ["anonymous", "anycast"]


def test_badges__are_escaped_and_none_is_no_text():
    assert badges(()) == ""
    assert "&lt;b&gt;" in badges(("<b>",))
    assert '<a href="/a/?trait=a%26b">A&amp;b</a>' in badges(("a&b",), "/a/")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "yes"),
        (False, "no"),
        (None, "-"),
        (12345, "12,345"),
        (42.5, "42.5"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("2026-01-02", "2026-01-02"),
        ("2026-13-02", "2026-13-02"),
    ],
)
def test_detail_value__is_as_the_language_writes_it(value, shown):
    assert detail_value(value) == shown


def test_detail__name_has_a_unit_and_number_is_of_the_language():
    assert detail_name("average_income") == "Average income (US$ a year)"
    with override("de"):
        assert detail_value(42.5) == "42,5"
        assert detail_value("2026-01-02") == "02.01.2026"
