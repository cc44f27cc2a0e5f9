"""Answers as programs get them: with labels, whom to thank, and names in the language asked for."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from typing import Any

from django.utils.translation import get_language_info, override

from geocache.history.spans import Span
from geocache.labels import labelled
from geocache.location import Location
from geocache.place_names import in_language
from geocache.providers.credits import Credits, credited


def present(locations: Iterable[Location], language: str | None) -> list[dict[str, Any]]:
    """Return answers in JSON, in their order."""
    thanks = Credits()
    return [
        credited(in_language(one, language).to_plain(), thanks) | _names(one, language)
        for one in labelled(locations)
    ]


def past(span: Span, day: date, language: str | None) -> dict[str, Any]:
    """Return in JSON what the answer was when ``day`` ended; today's labels are left out."""
    said = Span(in_language(span.answer, language), span.valid_from, span.valid_until)
    names = _names(span.answer, language)
    return credited(said.to_plain(), Credits()) | {"on": day.isoformat()} | names


def _names(location: Location, language: str | None) -> dict[str, str]:
    if language is None:
        return {}
    with override(_translated(language)):
        return {
            "country_name": location.country_name,
            "continent_name": location.continent_name,
        }


def _translated(language: str) -> str | None:
    """Return the language that Django has for one, None (English) where it has none.

    Django keeps what it has loaded of a language: so this is not left to what a request says.
    """
    code = language.lower()
    while code:
        with suppress(KeyError):
            return str(get_language_info(code)["code"])
        # That of zh-Hant-TW is that of zh-Hant.
        code = code.rpartition("-")[0]
    return None
