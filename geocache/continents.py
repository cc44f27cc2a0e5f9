"""Continents: which one a country is counted to, and their names in the reader's language."""

from typing import Final

from django.utils.translation import gettext_lazy as _

from geocache.country_groups import CONTINENTS, COUNTRIES, completed

__all__ = ["CONTINENTS", "COUNTRIES", "NAMES", "completed", "continent_of", "name"]

NAMES: Final = {
    "AF": _("Africa"),
    "AN": _("Antarctica"),
    "AS": _("Asia"),
    "EU": _("Europe"),
    "NA": _("North America"),
    "OC": _("Oceania"),
    "SA": _("South America"),
}


def continent_of(country_code: str) -> str:
    """Return the code of a country's continent, the empty text for a code that is not one."""
    return CONTINENTS.get(country_code.upper(), "")


def name(code: str) -> str:
    """Return the name of a continent in the reader's language, the empty text if unknown."""
    return str(NAMES.get(code, ""))
