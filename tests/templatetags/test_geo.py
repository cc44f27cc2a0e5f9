from ipaddress import ip_address, ip_network
from types import SimpleNamespace

import pytest
from django.template import Context, Template
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.translation import override

from geocache.charts.bars import Bar
from geocache.models import GeoCache
from geocache.templatetags.geo import (
    country_flag,
    country_name,
    day,
    geo_sources,
    moment,
    number,
    percent,
)
from tests.factories import LONDON, NOON, a_location, use_dummy_provider


def test_geo_sources__are_those_of_the_provider(settings):
    use_dummy_provider(settings, version="7")
    assert [source.name for source in geo_sources()] == ["Dummy 7"]


def test_geo_sources__failing_provider_has_none(settings, tmp_path):
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [tmp_path / "gone.mmdb"]}
    assert geo_sources() == []


def test_geo__tags_escape_what_they_show():
    shown = Template("{% load geo %}{{ value|reason_label }}").render(Context({"value": "<b>"}))
    assert shown == "&lt;b&gt;"


# --- addresses and answers -------------------------------------------------------------------


@pytest.fixture
def places(override_locations):
    return override_locations({LONDON: {"country_code": "GB", "city": "London"}})


@pytest.mark.parametrize(
    "value",
    [
        LONDON,
        f"::ffff:{LONDON}",
        ip_address(LONDON),
        a_location(),
        SimpleLazyObject(a_location),
        GeoCache(country_code="GB"),
    ],
)
@pytest.mark.usefixtures("places")
def test_country_filters__take_an_address_or_an_answer(value):
    assert country_flag(value) == "🇬🇧"
    assert country_name(value) == "United Kingdom"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        7,
        "10.0.0.1",
        "8.8.8.8",
        "::",
        "\0",
        "1" * 999,
        {},
        {"a": 1},
        [],
        [LONDON],
        {LONDON},
        b"GB",
        ip_network("81.2.69.0/24"),
        SimpleNamespace(country_code=None),
        "é1",
    ],
)
@pytest.mark.usefixtures("places")
def test_country_filters__nothing_known_is_no_text(value):
    assert country_flag(value) == country_name(value) == ""


def test_country_filters__code_or_answer_costs_no_look_up(places):
    for value in ("GB", "", "::", a_location()):
        country_flag(value)
        country_name(value)
    assert places.looked_up == []


@pytest.mark.usefixtures("places")
def test_geo_tag__gives_an_answer_or_none():
    page = Template(
        "{% load geo %}{% geo ip as place %}{% if place %}{{ place.city }}{% else %}?{% endif %}"
    )
    shown = [page.render(Context({"ip": ip})) for ip in (LONDON, "8.8.8.8", "nonsense", None)]
    assert shown == ["London", "?", "?", "?"]


@pytest.mark.parametrize(
    ("language", "shown"), [("en", "1,234,567"), ("de", "1.234.567"), ("fr", "1\xa0234\xa0567")]
)
def test_number__has_the_separators_of_the_language(language, shown, settings):
    settings.USE_THOUSAND_SEPARATOR = False
    with override(language):
        assert number(1234567) == shown


def test_moment__is_in_the_zone_of_the_project_and_says_so():
    assert moment(NOON) == '<time datetime="2026-01-02T12:00:00+00:00">2026-01-02 12:00 UTC</time>'
    with timezone.override("Asia/Tokyo"):
        assert (
            moment(NOON) == '<time datetime="2026-01-02T21:00:00+09:00">2026-01-02 21:00 JST</time>'
        )


def test_moment__is_written_as_the_language_does():
    with override("de"):
        assert ">02.01.2026, 12:00 UTC</time>" in moment(NOON)


def test_day__is_that_of_the_zone_in_the_form_of_the_language():
    assert day(NOON) == "2026-01-02"
    with override("de"), timezone.override("Pacific/Kiritimati"):
        assert day(NOON) == "03.01.2026"


@pytest.mark.parametrize(("language", "shown"), [("en", "12.5%"), ("de", "12,5\xa0%")])
def test_percent__is_written_as_the_language_does(language, shown):
    with override(language):
        assert percent(12.46) == shown


def test_moment__of_nothing_is_nothing():
    assert moment(None) == ""


def test_bar_chart__is_drawn_in_a_template():
    template = Template("{% load geo %}{% bar_chart bars label %}")
    shown = template.render(Context({"bars": [Bar("<b>", 1)], "label": "<i>"}))
    assert "<title>&lt;b&gt;</title>" in shown
    assert 'aria-label="&lt;i&gt;"' in shown


def test_world_map__is_drawn_in_a_template():
    template = Template("{% load geo %}{% world_map counts url %}")
    shown = template.render(Context({"counts": {"DE": 2}, "url": "/?country="}))
    assert 'href="/?country=DE"' in shown


def test_places_map__is_drawn_in_a_template():
    place = a_location(latitude=51.5, longitude=-0.1)
    shown = Template("{% load geo %}{% places_map places %}").render(Context({"places": [place]}))
    assert "<title>London: 1</title>" in shown


# --- kinds of network ------------------------------------------------------------------------

VPN = a_location(traits=("anonymous", "anonymous_vpn"))


def render(text, **context):
    return Template("{% load geo %}" + text).render(Context(context))


def test_has_trait__of_an_answer_and_of_nothing():
    text = '{% if value|has_trait:"anonymous_vpn" %}yes{% else %}no{% endif %}'
    assert render(text, value=VPN) == "yes"
    assert render(text, value=a_location()) == "no"
    assert render(text, value=None) == "no"
    assert render(text, value="no address") == "no"


@pytest.mark.django_db
def test_has_trait__of_an_address_looks_it_up(override_locations):
    override_locations({LONDON: {"traits": ("tor_exit_node",)}})
    assert render('{{ ip|has_trait:"tor_exit_node" }}', ip=LONDON) == "True"
    assert "Tor exit" in render("{% geo_badges ip %}", ip=LONDON)


def test_geo_badges__of_an_answer_a_row_and_nothing():
    shown = render("{% geo_badges value %}", value=VPN)
    assert shown.count("<li") == 1
    assert ">VPN</li>" in shown
    assert render("{% geo_badges value %}", value=None) == ""
    assert render("{% geo_badges value %}", value=a_location()) == ""
    assert render("{% geo_badges value %}", value="no address") == ""


def test_geo_badges__lead_to_a_list_of_the_same():
    shown = render("{% geo_badges value url %}", value=VPN, url="/addresses/")
    assert '<a href="/addresses/?trait=anonymous_vpn">VPN</a>' in shown


def test_names__of_kinds_are_filters():
    text = "{{ t|trait_name }}, {{ u|user_type_name }}, {{ c|connection_type_name }}"
    shown = render(text, t="tor_exit_node", u="business", c="Cellular")
    assert shown == "Tor exit, Company, Mobile network"
