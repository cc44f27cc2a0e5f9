"""Judge whether the databases in use are still allowed by their licences."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from geocache.databases.advice import advice_for, licence_sentence
from geocache.health.finding import Finding, critical, warning
from geocache.status import Status, licence_level

PART: Final = "licence"
ANCHOR: Final = "licence-outdated"


def judge_licences(status: Status, at: datetime) -> Iterator[Finding]:
    """Judge the age of each file by its licence: GeoLite is said from the 25th day on."""
    for source in status.sources:
        level = licence_level(source, at)
        if level is None:
            continue
        sentences = (f"{source}:", licence_sentence(source, at), advice_for(source))
        found = critical if level == "critical" else warning
        yield found(PART, ANCHOR, " ".join(filter(None, sentences)), source.name)
