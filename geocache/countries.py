"""Countries: their names in the reader's language, their flags, and their order in a list."""

import gettext
from functools import cache, lru_cache
from pathlib import Path
from typing import Final
from unicodedata import combining, normalize

from django.utils.translation import get_language, override, to_locale

from geocache import extras

# From a capital letter to its "regional indicator symbol"; two of them make a flag.
FLAG_OFFSET: Final = ord("\N{REGIONAL INDICATOR SYMBOL LETTER A}") - ord("A")
# In use everywhere, though not (yet) in ISO 3166-1.
UNLISTED: Final = {"XK": "Kosovo"}
# Where the language of a locale without translations is written in more than one script.
SCRIPTS: Final = {"zh_TW": "zh_Hant", "zh_HK": "zh_Hant", "zh_MO": "zh_Hant", "zh_SG": "zh_Hans"}


def flag(code: str) -> str:
    """Return the flag emoji of a code of two letters, else the empty text."""
    if len(code) != 2 or not code.isascii() or not code.isalpha():
        return ""
    return "".join(chr(ord(letter) + FLAG_OFFSET) for letter in code.upper())


def name(code: str) -> str:
    """Return the name of an ISO 3166-1 code in the reader's language, the empty text if unknown.

    A name in the project's ``COUNTRIES_OVERRIDE`` is returned as it stands there. Without
    ``django_countries``, which the extra "pages" brings, the code is its own name.
    """
    if not extras.is_installed("django_countries"):
        return UNLISTED.get(code) or (code if flag(code) else "")
    return _name_in(code, get_language())


def label(code: str) -> str:
    """Return flag and name of a code, the code itself where no name is known."""
    return f"{flag(code)} {name(code) or code}".strip()


def sort_key(word: str) -> str:
    """Return what sorts ``word`` as a dictionary does: Ägypten stands among the words with A."""
    return "".join(one for one in normalize("NFKD", word) if not combining(one)).casefold()


# All countries in several languages: one list names hundreds, and the library translates slowly.
@lru_cache(maxsize=2_000)
def _name_in(code: str, language: str | None) -> str:
    from django_countries import countries  # noqa: PLC0415 - may be absent

    overridden = countries.get_option("override") or {}
    found = str(countries.name(code))
    if code in overridden:
        return found
    if not found:
        return UNLISTED.get(code, "")
    with override(None):
        english = str(countries.name(code))
        older = [str(one) for one in countries.shadowed_names.get(code, ())]
    # The project's own translation counts, also where the library is one of its apps.
    if not language or found != english:
        return found
    catalog = _catalog(language)
    translations = (catalog.gettext(one) for one in (english, *older))
    return next((one for one in translations if one not in (english, *older)), found)


@cache
def _catalog(language: str) -> gettext.NullTranslations:
    """Return the library's translations, which Django loads only for an app of the project."""
    locale = to_locale(language)
    folder = _locales()
    return gettext.translation("django", folder, [_folder(folder, locale)], fallback=True)


def _locales() -> Path:
    import django_countries  # noqa: PLC0415 - may be absent

    return Path(django_countries.__file__).with_name("locale")


def _folder(locales: Path, locale: str) -> str:
    """Return the folder of a locale: ``ko`` has its translations in ``ko_KR``."""
    present = sorted(path.name for path in locales.iterdir() if "@" not in path.name)
    base = locale.partition("_")[0]
    wanted = (locale, SCRIPTS.get(locale, base), f"{base}_{base.upper()}")
    variants = (one for one in present if one.startswith(f"{base}_"))
    return next((one for one in (*wanted, *variants) if one in present), locale)
