"""System checks of the page of metrics: its extra is installed, and a program may read it."""

from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.core.checks import Warning as Caution

from geocache import conf, extras
from geocache.mounts import METRICS, PAGES, is_included


@register(Tags.urls)
def check_page(**_: Any) -> list[CheckMessage]:
    """Check that the extra is there for a page that is wanted, and that a program may read it."""
    if conf.problems():
        return []
    has_readers = bool(conf.get("METRICS_TOKEN") or conf.get("METRICS_ADDRESSES"))
    is_alone = is_included(METRICS)
    is_wanted = is_alone or (has_readers and is_included(PAGES))
    found: list[CheckMessage] = []
    if is_wanted and (absent := extras.missing("metrics", "prometheus_client")):
        said = f"The page of metrics shows none: {absent}."
        hint = "The health pages need no extra."
        found.append(Caution(said, hint=hint, id="geocache.W077"))
    if is_alone and not has_readers:
        said = "geocache.metrics.urls is included, and no program may read the page."
        hint = 'Set GEOCACHE["METRICS_TOKEN"] or METRICS_ADDRESSES: see docs/metrics.md.'
        found.append(Caution(said, hint=hint, id="geocache.W078"))
    return found
