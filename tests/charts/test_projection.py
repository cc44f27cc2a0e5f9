from math import isfinite

import pytest

from geocache.charts.projection import CENTRE_X, CENTRE_Y, HEIGHT, LEFT, MERIDIAN, WIDTH, project


@pytest.mark.parametrize(
    ("name", "latitude", "longitude", "x", "y"),
    [
        # Where the outlines have these capes, read off the drawing.
        ("Tarifa", 36.0, -5.61, 1165, 373),
        ("Cape Agulhas", -34.83, 20.0, 1348, 985),
        ("Ras Hafun", 10.42, 51.41, 1592, 594),
        ("Punta Gallinas", 12.46, -71.67, 656, 578),
        ("Cape Chelyuskin", 77.72, 104.3, 1742, 44),
    ],
)
def test_project__puts_a_cape_where_the_drawing_has_it(name, latitude, longitude, x, y):
    found = project(latitude, longitude)
    assert (found.x, found.y) == (pytest.approx(x, abs=2), pytest.approx(y, abs=2)), name


def test_project__middle_of_the_map():
    assert project(0, MERIDIAN) == (CENTRE_X, CENTRE_Y)


@pytest.mark.parametrize("latitude", [-58, -10, 0, 45, 90])
@pytest.mark.parametrize("longitude", [-180, -170.1, -169.9, 0, 179.9, 180])
def test_project__inhabited_world_is_on_the_map(latitude, longitude):
    found = project(latitude, longitude)
    assert LEFT <= found.x <= LEFT + WIDTH
    assert -15 <= found.y <= HEIGHT


def test_project__far_east_of_russia_is_in_the_east():
    assert project(66, -172).x > CENTRE_X
    assert project(66, -168).x < CENTRE_X


@pytest.mark.parametrize(("latitude", "longitude"), [(91, 0), (-1000, 0), (0, 370), (0, -1000)])
def test_project__impossible_degrees_are_somewhere(latitude, longitude):
    assert all(map(isfinite, project(latitude, longitude)))


def test_project__south_mirrors_north():
    north, south = project(40, 20), project(-40, 20)
    assert north.x == south.x
    assert north.y + south.y == pytest.approx(2 * CENTRE_Y)
