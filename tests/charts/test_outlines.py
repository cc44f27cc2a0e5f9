import gzip
import re
from itertools import pairwise
from math import dist, hypot

import pytest
from django_countries import countries

from geocache.charts.outlines import SPOT_RADIUS, TOLERANCE, first_places, outlines, simplified
from geocache.charts.projection import HEIGHT, LEFT, WIDTH, Point, project

SPOT = re.compile(r"M(-?\d+) (\d+)a4 4 0 1 0 8 0a4 4 0 1 0-8 0z")
RING = re.compile(r"M(-?\d+) (\d+)l([-0-9 ]+)z")
# From the coast as it is drawn to a harbour, in units of 15 km.
NEAR = 6.0


def rings(path):
    """Return the points of each ring of a path."""
    found = []
    for x, y, numbers in RING.findall(path):
        steps = [int(number) for number in re.findall(r"-?\d+", numbers)]
        points = [(int(x), int(y))]
        for dx, dy in zip(steps[::2], steps[1::2], strict=True):
            points.append((points[-1][0] + dx, points[-1][1] + dy))
        found.append([*points, points[0]])
    return found


def is_inside(point, ring):
    """Tell whether a line from the point to the east crosses the ring an odd number of times."""
    x, y = point
    crossings = 0
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > y) != (y2 > y):
            crossings += x < x1 + (y - y1) * (x2 - x1) / (y2 - y1)
    return crossings % 2 == 1


def away(point, start, end):
    """Return how far a point is from a stretch of coast."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = (point[0] - start[0]) * dx + (point[1] - start[1]) * dy
    part = min(max(along / (hypot(dx, dy) ** 2 or 1), 0), 1)
    return dist(point, (start[0] + part * dx, start[1] + part * dy))


def distance(point, path):
    """Return how far a point is from a shape; 0 inside of it."""
    shapes = rings(path)
    if sum(is_inside(point, ring) for ring in shapes) % 2:
        return 0.0
    return min(away(point, *stretch) for ring in shapes for stretch in pairwise(ring))


DRAWN = {code for code, path in outlines().items() if not SPOT.fullmatch(path)}
# Their first time zone is that of an island far away.
FAR = {"AU", "BR", "GQ"}


@pytest.mark.parametrize("code", sorted(DRAWN - FAR))
def test_outlines__country_is_where_its_time_zone_says(code):
    place = project(*first_places()[code])
    assert distance(place, outlines()[code]) <= NEAR


@pytest.mark.parametrize(
    ("code", "latitude", "longitude"),
    [
        ("BR", -15.8, -47.9),
        ("US", 38.9, -77.0),
        ("US", 34.05, -118.2),
        ("CA", 45.4, -75.7),
        ("AU", -35.3, 149.1),
        ("AU", -31.95, 115.9),
        ("CN", 39.9, 116.4),
        ("RU", 55.75, 37.6),
        ("RU", 43.1, 131.9),
        ("UA", 44.95, 34.1),
        ("IN", 28.6, 77.2),
        ("LK", 7.3, 80.6),
        ("DE", 52.5, 13.4),
        ("NZ", -41.3, 174.8),
    ],
)
def test_outlines__capital_is_in_its_country(code, latitude, longitude):
    assert distance(project(latitude, longitude), outlines()[code]) <= 2.0


def test_outlines__another_country_is_not_there():
    assert distance(project(48.9, 2.4), outlines()["DE"]) > NEAR


def test_outlines__every_country_has_one_but_where_nobody_lives():
    assert {code for code, _ in countries} - set(outlines()) == {"AQ", "BV", "HM"}
    assert all(outlines().values())


@pytest.mark.parametrize("code", ["SG", "HK", "MC", "MT", "QA", "XK", "SS", "FJ"])
def test_outlines__small_or_missing_country_can_be_seen(code):
    path = outlines()[code]
    if match := SPOT.fullmatch(path):
        place = project(*first_places()[code])
        assert dist(place, (int(match[1]) + SPOT_RADIUS, int(match[2]))) < 1
    else:
        assert max(len(ring) for ring in rings(path)) > 3


def test_outlines__what_lies_inside_another_country_is_painted_over_it():
    order = list(outlines())
    for inner, outer in [("LS", "ZA"), ("SM", "IT"), ("VA", "IT"), ("SS", "SD")]:
        assert order.index(inner) > order.index(outer)


def test_outlines__paths_are_well_formed_and_on_the_map():
    for code, path in outlines().items():
        assert SPOT.fullmatch(path) or RING.sub("", path) == "", code
        for ring in rings(path):
            assert len(set(ring)) >= 3, code
            for x, y in ring:
                assert LEFT <= x <= LEFT + WIDTH, code
                assert 0 <= y <= HEIGHT, code


def test_outlines__are_light():
    assert len(gzip.compress("".join(outlines().values()).encode())) < 25_000


def test_simplified__drops_what_lies_on_the_way():
    square = [Point(*xy) for xy in ((0, 0), (5, 0.5), (10, 0), (10, 10), (0, 10), (0, 0))]
    assert simplified(square) == [point for point in square if point.x != 5]


def test_simplified__keeps_what_is_off_the_way():
    peak = [Point(0, 0), Point(5, TOLERANCE + 0.1), Point(10, 0)]
    assert simplified(peak) == peak
