"""Countries: their names in the reader's language, their flags, and their order in a list."""

from functools import lru_cache
from typing import Final
from unicodedata import combining, normalize

from django.utils.translation import get_language
from django_countries import countries

# From a capital letter to its "regional indicator symbol"; two of them make a flag.
FLAG_OFFSET: Final = ord("\N{REGIONAL INDICATOR SYMBOL LETTER A}") - ord("A")


def flag(code: str) -> str:
    """Return the flag emoji of a code of two letters, else the empty text."""
    if len(code) != 2 or not code.isascii() or not code.isalpha():
        return ""
    return "".join(chr(ord(letter) + FLAG_OFFSET) for letter in code.upper())


def name(code: str) -> str:
    """Return the name of an ISO 3166-1 code in the reader's language, the empty text if unknown."""
    return _name_in(code, get_language())


def sort_key(word: str) -> str:
    """Return what sorts ``word`` as a dictionary does: Ägypten stands among the words with A."""
    return "".join(one for one in normalize("NFKD", word) if not combining(one)).casefold()


# All countries in several languages: one list names hundreds, and the library translates slowly.
@lru_cache(maxsize=2_000)
def _name_in(code: str, language: str | None) -> str:  # noqa: ARG001 - only tells names apart
    return str(countries.name(code))
