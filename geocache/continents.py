"""Continents: their names in the reader's language.

The names are those of the Unicode CLDR, in the folder ``cldr`` with its licence.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

# Made by ``python -m tests.continent_names``. 14 KB instead of a library of 36 MB, for seven words
# of each language.
CLDR: Final = Path(__file__).with_name("cldr") / "continents.json"

NAMES: Final = {
    "AF": _("Africa"),
    "AN": _("Antarctica"),
    "AS": _("Asia"),
    "EU": _("Europe"),
    "NA": _("North America"),
    "OC": _("Oceania"),
    "SA": _("South America"),
}


def name(code: str) -> str:
    """Return the name of a continent in the reader's language, the empty text if unknown.

    A translation of the project counts first. English stands in for a language without names.
    """
    if code not in NAMES:
        return ""
    translated = str(NAMES[code])
    names = names_in(get_language() or "")
    return translated if translated != names_in("en")[code] else names.get(code, translated)


def names_in(language: str) -> Mapping[str, str]:
    """Return the names by code in a language such as ``de-at``, or in its base; else nothing."""
    names = _all_names()
    tags = language.lower().split("-")
    bases = ("-".join(tags[:length]) for length in range(len(tags), 0, -1))
    return next((names[base] for base in bases if base in names), {})


@cache
def _all_names() -> dict[str, dict[str, str]]:
    by_language: dict[str, list[str]] = json.loads(CLDR.read_text(encoding="utf-8"))
    return {
        language: dict(zip(NAMES, names, strict=True)) for language, names in by_language.items()
    }
