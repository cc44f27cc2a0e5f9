"""Maps of the world as SVG: how many addresses in each country, and where places are.

What they look like is up to the stylesheet. What they say stands in a table beside them, too, for
those who cannot see them. Without the extra "pages" there is nothing to draw, and no map.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby, pairwise
from math import log
from typing import Final, NamedTuple, Protocol

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from geocache import countries
from geocache.charts.outlines import are_there, outlines
from geocache.charts.projection import HEIGHT, LEFT, WIDTH, Point, project

# Strengths of colour: the classes level-1 to level-5.
LEVELS: Final = 5
# The part of the world's width that is left of it around a single place.
CLOSEST: Final = 0.3
# Free space around the outermost dots, beside what they span.
MARGIN: Final = 0.2
# Of the width that is seen: how near two places are that become one dot, and the radius of a dot.
DOT_CELL: Final = 1 / 150
DOT_RADIUS: Final = 1 / 160
# How many of its places the tooltip of a dot names.
NAMED_PLACES: Final = 3


class Place(Protocol):
    """What has a dot: a ``Location``, or a row."""

    @property
    def latitude(self) -> float | None:
        """Degrees, WGS 84."""

    @property
    def longitude(self) -> float | None:
        """Degrees, WGS 84."""

    @property
    def city(self) -> str:
        """The name of the city, if it is known."""

    @property
    def country_code(self) -> str:
        """The country's ISO 3166-1 code, if it is known."""


class View(NamedTuple):
    """The part of the map that is seen."""

    x: float
    y: float
    width: float
    height: float

    def __str__(self) -> str:
        return " ".join(str(round(number)) for number in self)


WHOLE: Final = View(LEFT, 0, WIDTH, HEIGHT)


class Step(NamedTuple):
    """A strength of colour, and the counts from ``least`` to ``most`` that have it."""

    level: int
    least: int
    most: int


def legend(counts: Mapping[str, int]) -> list[Step]:
    """Return what the colours of ``world_map`` mean: equal steps of the logarithm."""
    found = [count for count in counts.values() if count > 0] if are_there() else []
    if not found:
        return []
    least, most = min(found), max(found)
    growth = (most / least) ** (1 / LEVELS)
    ends = [round(least * growth**number) - 1 for number in range(1, LEVELS)]
    steps = (
        Step(number, below + 1, end)
        for number, (below, end) in enumerate(pairwise((least - 1, *ends, most)), start=1)
    )
    # Few different counts need few colours.
    return [step for step in steps if step.least <= step.most]


def world_map(counts: Mapping[str, int], url_of: Callable[[str], str] | None = None) -> SafeString:
    """Return a map on which a country is the stronger in colour the more addresses it has.

    ``counts`` are by ISO 3166-1 code. A country with addresses is a link to ``url_of`` its code,
    which the Tab key passes over, as there may be hundreds: a table beside the map has them, too.
    """
    if not are_there():
        return SafeString()
    steps = legend(counts)
    land = [path for code, path in _paths().items() if not counts.get(code)]
    shown = [
        _country(path, code, counts[code], _level(counts[code], steps), url_of and url_of(code))
        for code, path in _paths().items()
        if counts.get(code)
    ]
    return format_html(
        '<svg class="map" viewBox="{}" aria-hidden="true" focusable="false">{}{}</svg>',
        WHOLE,
        _land(land),
        format_html_join("\n", "{}", ((country,) for country in shown)),
    )


def places_map(places: Iterable[Place]) -> SafeString:
    """Return a map with a dot for each place, or nothing when none can be drawn.

    It shows as much of the world as the dots need. Near places are one dot.
    """
    located = [
        (project(place.latitude, place.longitude), place)
        for place in places
        if place.latitude is not None and place.longitude is not None
    ]
    if not located or not are_there():
        return SafeString()
    view = _view([point for point, _ in located])
    dots = sorted(_merged(located, view), key=lambda dot: -len(dot[1]))
    said = ngettext("Map of %(count)s place", "Map of %(count)s places", len(located))
    return format_html(
        '<svg class="map" viewBox="{}" role="img" aria-label="{}">{}{}</svg>',
        view,
        said % {"count": _number(len(located))},
        _whole_land(),
        format_html_join("\n", "{}", ((_dot(point, near, view),) for point, near in dots)),
    )


def _level(count: int, steps: Sequence[Step]) -> int:
    return next(step.level for step in steps if count <= step.most)


@cache
def _paths() -> dict[str, SafeString]:
    return {code: format_html('<path d="{}"/>', path) for code, path in outlines().items()}


@cache
def _whole_land() -> SafeString:
    return _land(_paths().values())


def _land(paths: Iterable[SafeString]) -> SafeString:
    shapes = format_html_join("", "{}", ((path,) for path in paths))
    return format_html('<g class="land">{}</g>', shapes)


def _country(path: SafeString, code: str, count: int, level: int, url: str | None) -> SafeString:
    title = _title(countries.name(code) or code, count)
    if not url:
        return format_html('<g class="level-{}">{}{}</g>', level, title, path)
    return format_html(
        '<a class="level-{}" href="{}" tabindex="-1">{}{}</a>', level, url, title, path
    )


def _title(name: str, count: int) -> SafeString:
    text = gettext("%(name)s: %(count)s") % {"name": name, "count": _number(count)}
    return format_html("<title>{}</title>", text)


def _number(count: int) -> str:
    return number_format(count, force_grouping=True)


def _view(points: Sequence[Point]) -> View:
    """Return the part of the map around ``points``, in the proportions of the whole."""
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    spanned = max((right - left) / WIDTH, (bottom - top) / HEIGHT)
    part = min(max(spanned * (1 + MARGIN), CLOSEST), 1)
    width, height = WIDTH * part, HEIGHT * part
    x = min(max((left + right - width) / 2, LEFT), LEFT + WIDTH - width)
    y = min(max((top + bottom - height) / 2, 0), HEIGHT - height)
    return View(x, y, width, height)


def _merged(located: Iterable[tuple[Point, Place]], view: View) -> list[tuple[Point, list[Place]]]:
    """Return one point, and the places near it, for each cell of a grid that has any."""

    def cell(one: tuple[Point, Place]) -> tuple[int, int]:
        size = view.width * DOT_CELL
        return int(one[0].x / size), int(one[0].y / size)

    cells = [list(near) for _, near in groupby(sorted(located, key=cell), key=cell)]
    return [(near[0][0], [place for _, place in near]) for near in cells]


def _dot(point: Point, near: Sequence[Place], view: View) -> SafeString:
    names = list(dict.fromkeys(filter(None, map(_name, near))))
    shown = ", ".join(names[:NAMED_PLACES]) + (" …" if names[NAMED_PLACES:] else "")
    # Twenty times as many places: a dot that is twice as wide.
    radius = view.width * DOT_RADIUS * (1 + log(len(near), 20))
    return format_html(
        '<circle class="dot" cx="{}" cy="{}" r="{}">{}</circle>',
        f"{point.x:.1f}",
        f"{point.y:.1f}",
        f"{radius:.1f}",
        _title(shown or gettext("unknown place"), len(near)),
    )


def _name(place: Place) -> str:
    return place.city or countries.name(place.country_code)
