"""Small charts as SVG. What they say stands in a table beside them, too."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# In units of the drawing, which is stretched to the space that it gets.
STEP: Final = 10
BAR_WIDTH: Final = 8
# Fewer bars are at the right end, where the newest always is; they would be blocks else.
LEAST_COLUMNS: Final = 30
HEIGHT: Final = 100
# What is not nothing can be seen.
LEAST_HEIGHT: Final = 2


class Bar(NamedTuple):
    """One bar, what its tooltip says, and the class of its colour."""

    title: str
    value: float
    css: str = ""


def bar_chart(bars: Sequence[Bar], label: str) -> SafeString:
    """Return the bars side by side, the highest as high as the chart, for whom ``label`` names."""
    most = max((bar.value for bar in bars), default=0)
    width = STEP * max(len(bars), LEAST_COLUMNS)
    drawn = ((_bar(number, bar, most),) for number, bar in enumerate(bars))
    return format_html(
        '<svg class="bars" viewBox="{} 0 {} {}" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">{}</svg>',
        *map(str, (STEP * len(bars) - width, width, HEIGHT)),
        label,
        format_html_join("\n", "{}", drawn),
    )


def _bar(number: int, bar: Bar, most: float) -> SafeString:
    height = max(round(HEIGHT * bar.value / most), LEAST_HEIGHT) if bar.value > 0 else 0
    return format_html(
        '<g class="bar {}"><title>{}</title>'
        # The whole column answers to the pointer: short bars are hard to meet.
        '<rect class="column" x="{}" width="{}" height="{}"/>'
        '<rect x="{}" y="{}" width="{}" height="{}"/></g>',
        bar.css,
        bar.title,
        *map(str, (STEP * number, STEP, HEIGHT)),
        *map(str, (STEP * number + 1, HEIGHT - height, BAR_WIDTH, height)),
    )
