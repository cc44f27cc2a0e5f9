"""Take the ``source`` of an answer apart: ``"GeoLite2-City 2026-01-02, ip-api.com"``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from geocache.location import SOURCE_SEPARATOR

DATED: Final = re.compile(r"(?P<name>.+) (?P<day>\d{4}-\d{2}-\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """One source of an answer; ``built_on`` is None of a service."""

    name: str
    built_on: date | None


def parts_of(source: str) -> Iterator[Part]:
    """Give the sources that a text names. A digest, of which nothing is known, is one of them."""
    for label in filter(None, source.split(SOURCE_SEPARATOR)):
        yield _part(label)


def _part(label: str) -> Part:
    if match := DATED.fullmatch(label):
        try:
            return Part(match["name"], date.fromisoformat(match["day"]))
        except ValueError:
            pass
    return Part(label, None)
