import re

import pytest

from geocache.charts.bars import Bar, bar_chart


def bars_of(svg):
    """Return top and height of each bar, without the columns behind them."""
    found = re.findall(r'<rect x="\d+" y="(\d+)" width="8" height="(\d+)"/>', svg)
    return [(int(top), int(height)) for top, height in found]


def test_bar_chart__highest_bar_is_as_high_as_the_chart():
    assert bars_of(bar_chart([Bar("a", 50), Bar("b", 200)], "")) == [(75, 25), (0, 100)]


def test_bar_chart__little_can_be_seen_and_nothing_has_no_height():
    assert bars_of(bar_chart([Bar("a", 1), Bar("b", 0), Bar("c", 10**6)], "")) == [
        (98, 2),
        (100, 0),
        (0, 100),
    ]


def test_bar_chart__all_nothing_or_no_bars():
    assert bars_of(bar_chart([Bar("a", 0)], "")) == [(100, 0)]
    assert bars_of(bar_chart([], "")) == []


@pytest.mark.parametrize(
    ("count", "view"), [(1, "-290 0 300 100"), (30, "0 0 300 100"), (40, "0 0 400 100")]
)
def test_bar_chart__few_bars_are_at_the_right_end(count, view):
    assert f'viewBox="{view}"' in bar_chart([Bar("a", 1)] * count, "")


def test_bar_chart__each_has_its_tooltip_and_class():
    svg = bar_chart([Bar("10:00: 5", 5), Bar("<failed>", 1, "is-bad")], "Flushes")
    assert '<g class="bar "><title>10:00: 5</title>' in svg
    assert '<g class="bar is-bad"><title>&lt;failed&gt;</title>' in svg
    assert 'role="img" aria-label="Flushes"' in svg
    assert "style" not in svg
