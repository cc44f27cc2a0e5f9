"""Write the names of continents from the Unicode CLDR, for every language that Django knows.

Run ``uv run --with babel python -m tests.continent_names`` for a newer CLDR. Babel takes 36 MB, and
only seven words of each of its languages are shown: that is why it is not a dependency.
"""

import json
from pathlib import Path
from typing import Final

from django.conf.locale import LANG_INFO

import geocache

FILE: Final = Path(geocache.__file__).with_name("cldr") / "continents.json"
# Codes of CLDR (UN M.49, and AQ) in the order of the codes AF AN AS EU NA OC SA.
TERRITORIES: Final = ("002", "AQ", "142", "150", "003", "009", "005")


def names(language: str) -> list[str] | None:
    """Return the seven names in a language, None where CLDR does not have them all."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415 - not in the environment of tests

    try:
        known = Locale.parse(language, sep="-").territories
    except UnknownLocaleError:
        return None
    found = [str(known.get(code, "")) for code in TERRITORIES]
    return found if all(found) else None


def page() -> str:
    lines = [
        f"  {json.dumps(language)}: {json.dumps(found, ensure_ascii=False)}"
        for language in sorted(LANG_INFO)
        if (found := names(language))
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
