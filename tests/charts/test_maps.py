import re
from itertools import pairwise

import pytest
from django.utils.translation import override

from geocache import extras
from geocache.charts.maps import WHOLE, legend, places_map, world_map
from tests.factories import a_location

SOFIA = {"latitude": 42.7, "longitude": 23.3, "city": "Sofia", "country_code": "BG"}
LIMA = {"latitude": -12.05, "longitude": -77.05, "city": "Lima", "country_code": "PE"}


def url_of(code):
    return f"/addresses/?country={code}&x=<"


def view_of(svg):
    return tuple(map(int, re.search(r'viewBox="([^"]*)"', svg)[1].split()))


# --- addresses in each country ---------------------------------------------------------------


def test_world_map__country_is_a_link_with_name_and_number():
    svg = world_map({"DE": 12345, "GB": 1}, url_of)
    assert (
        '<a class="level-5" href="/addresses/?country=DE&amp;x=&lt;" tabindex="-1">'
        '<title>Germany: 12,345</title><path d="M' in svg
    )
    assert '<a class="level-1" href="/addresses/?country=GB' in svg
    assert svg.count("<a ") == 2


def test_world_map__names_are_in_the_language_of_the_reader():
    with override("de"):
        svg = world_map({"DE": 12345})
    assert "<title>Deutschland: 12.345</title>" in svg


def test_world_map__without_urls_has_no_links():
    svg = world_map({"DE": 2})
    assert '<g class="level-5"><title>Germany: 2</title>' in svg
    assert "<a " not in svg


def test_world_map__every_country_is_drawn_once():
    nothing, some = world_map({}), world_map({"DE": 3, "FR": 4})
    assert nothing.count("<path") == some.count("<path") == 247
    assert "<title>" not in nothing


@pytest.mark.parametrize("code", ["", "EU", "AQ", "<b>"])
def test_world_map__code_without_a_shape_is_left_out(code):
    assert world_map({code: 5}) == world_map({})


def test_world_map__has_the_colours_of_its_legend():
    counts = {"DE": 10, "FR": 12, "IT": 150, "ES": 10**6}
    svg = world_map(counts)
    for step in legend(counts):
        shown = [count for count in counts.values() if step.least <= count <= step.most]
        assert svg.count(f'"level-{step.level}"') == len(shown)


def test_world_map__has_no_style_and_is_no_stop_for_screen_readers_and_keyboard():
    svg = world_map({"DE": 5}, url_of)
    assert "style" not in svg
    assert 'aria-hidden="true"' in svg
    assert svg.count("<a ") == svg.count('tabindex="-1"')


@pytest.mark.parametrize("counts", [(1,), (7, 7), (1, 2), (1, 5), (1, 31, 32), (3, 10**7)])
def test_legend__covers_every_count_once(counts):
    steps = legend(dict(zip("ABC", counts, strict=False)))
    assert (steps[0].least, steps[-1].most) == (min(counts), max(counts))
    for lower, higher in pairwise(steps):
        assert higher.least == lower.most + 1
        assert higher.level > lower.level
    assert steps[-1].level == 5


def test_legend__has_equal_steps_of_the_logarithm():
    assert legend({"A": 10, "B": 10**6}) == [
        (1, 10, 99),
        (2, 100, 999),
        (3, 1000, 9999),
        (4, 10_000, 99_999),
        (5, 100_000, 1_000_000),
    ]


def test_legend__nothing_was_counted():
    assert legend({}) == legend({"DE": 0}) == []


# --- dots for places -------------------------------------------------------------------------


def test_places_map__place_is_a_dot_with_its_name():
    svg = places_map([a_location(**SOFIA)])
    assert svg.count("<circle") == 1
    assert "<title>Sofia: 1</title>" in svg
    assert 'aria-label="Map of 1 place"' in svg


def test_places_map__near_places_are_one_larger_dot():
    far, near = places_map([a_location(**SOFIA), a_location(**LIMA)]), [a_location(**SOFIA)] * 20
    merged = places_map([*near, a_location(**LIMA)])
    assert far.count("<circle") == merged.count("<circle") == 2
    assert "<title>Sofia: 20</title>" in merged
    radii = [float(r) for r in re.findall(r' r="([0-9.]+)"', merged)]
    assert radii[0] == pytest.approx(2 * radii[1], abs=0.2)
    assert 'aria-label="Map of 21 places"' in merged


def test_places_map__dot_names_three_places_at_most():
    near = [a_location(**SOFIA | {"city": name}) for name in ("A", "B", "A", "C", "D")]
    assert "<title>A, B, C …: 5</title>" in places_map(near)


def test_places_map__place_without_a_name():
    assert "<title>Bulgaria: 1</title>" in places_map([a_location(**SOFIA | {"city": ""})])
    nameless = a_location(**SOFIA | {"city": "", "country_code": ""})
    assert "<title>unknown place: 1</title>" in places_map([nameless])


def test_places_map__names_are_shown_as_text():
    svg = places_map([a_location(**SOFIA | {"city": "<script>"})])
    assert "<title>&lt;script&gt;: 1</title>" in svg


def test_places_map__without_coordinates_is_nothing():
    assert places_map([]) == places_map([a_location()]) == ""


def test_places_map__zero_degrees_are_a_place():
    assert places_map([a_location(latitude=0.0, longitude=0.0)]).count("<circle") == 1


def test_places_map__one_place_is_seen_from_near():
    x, y, width, height = view_of(places_map([a_location(**SOFIA)]))
    assert width < WHOLE.width / 3
    assert width / height == pytest.approx(WHOLE.width / WHOLE.height, rel=0.01)
    assert x > 0
    assert y > 0


def test_places_map__shows_the_whole_world_when_places_are_everywhere():
    ends = [
        a_location(latitude=21.3, longitude=-157.9),
        a_location(latitude=-36.8, longitude=174.8),
    ]
    assert view_of(places_map(ends)) == WHOLE


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(83.0, -35.0), (-55.0, -68.0), (-44.0, 176.0), (66.0, -172.0)]
)
def test_places_map__view_stays_on_the_map(latitude, longitude):
    svg = places_map([a_location(latitude=latitude, longitude=longitude)])
    x, y, width, height = view_of(svg)
    assert x >= WHOLE.x
    assert y >= 0
    assert x + width <= WHOLE.x + WHOLE.width + 1
    assert y + height <= WHOLE.height + 1


@pytest.mark.parametrize("absent", ["pygal_maps_world", "tzdata"])
def test_maps__without_a_drawing_there_is_none(monkeypatch, absent):
    monkeypatch.setattr(extras, "is_installed", lambda module: module != absent)
    assert world_map({"BG": 3}) == places_map([a_location(**SOFIA)]) == ""
    assert legend({"BG": 3, "PE": 9}) == []
