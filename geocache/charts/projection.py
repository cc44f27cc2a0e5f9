"""Where a place is on the map: the Robinson projection, as the outlines are drawn in it.

The outlines of ``pygal_maps_world`` are in it, but nothing says with which measures. Those below
were fitted to capes and corners of countries; they are right to about one unit, 15 km.
"""

from typing import Final, NamedTuple

# The inhabited world in the units of the map, from its left edge to its right.
LEFT: Final = -100
WIDTH: Final = 2755
HEIGHT: Final = 1185

RADIUS: Final = 516.2
CENTRE_X: Final = 1276.8
CENTRE_Y: Final = 684.6
# The longitude in the middle, so that the Bering Strait is the edge.
MERIDIAN: Final = 10.0

# Robinson's own table: for each 5 degrees from the equator to the pole, the length of the parallel
# beside that of the equator, and the distance from the equator beside that of the pole.
STEP: Final = 5
LENGTHS: Final = (
    *(1.0, 0.9986, 0.9954, 0.99, 0.9822, 0.973, 0.96, 0.9427, 0.9216, 0.8962),
    *(0.8679, 0.835, 0.7986, 0.7597, 0.7186, 0.6732, 0.6213, 0.5722, 0.5322),
)
DISTANCES: Final = (
    *(0.0, 0.062, 0.124, 0.186, 0.248, 0.31, 0.372, 0.434, 0.4958, 0.5571),
    *(0.6176, 0.6769, 0.7346, 0.7903, 0.8435, 0.8936, 0.9394, 0.9761, 1.0),
)
# Of the radius: a degree on the equator, and the distance of a pole.
DEGREE: Final = 0.8487 * 3.141592653589793 / 180
POLE: Final = 1.3523


class Point(NamedTuple):
    """A place on the map; y grows to the south."""

    x: float
    y: float


def project(latitude: float, longitude: float) -> Point:
    """Return where WGS 84 degrees are on the map."""
    east = (longitude - MERIDIAN + 180) % 360 - 180
    away = POLE * _between(DISTANCES, latitude)
    return Point(
        CENTRE_X + RADIUS * DEGREE * _between(LENGTHS, latitude) * east,
        CENTRE_Y - RADIUS * (away if latitude > 0 else -away),
    )


def _between(table: tuple[float, ...], latitude: float) -> float:
    row, rest = divmod(min(abs(latitude), 90.0) / STEP, 1)
    lower, upper = table[int(row)], table[min(int(row) + 1, len(table) - 1)]
    return lower + (upper - lower) * rest
