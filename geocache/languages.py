"""Under which keys a record of MaxMind's layout may have the names of a language."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

ENGLISH: Final = "en"
# A language, perhaps with a script, a country and more: RFC 5646, as far as Django has them.
TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")
# MaxMind has these with a country where a reader may name a script, or nothing more.
OTHERS: Final = {
    "pt": "pt-BR",
    **dict.fromkeys(("zh", "zh-hans", "zh-sg", "zh-my"), "zh-CN"),
    **dict.fromkeys(("zh-hant", "zh-hk", "zh-mo"), "zh-TW"),
}
SCRIPT_LETTERS: Final = 4


def is_language(value: object) -> bool:
    """Tell whether it is a code such as ``de`` or ``pt-BR``; the language need not exist."""
    return isinstance(value, str) and bool(TAG.fullmatch(value))


# As many as there are languages; a reader may name any.
@lru_cache(maxsize=512)
def keys_of(language: str) -> tuple[str, ...]:
    """Return the keys of a language such as ``de-at``, the best one first; none for nonsense.

    The base of a language with a script or of another Chinese is not read: its readers could not.
    """
    if not is_language(language):
        return ()
    whole = language.lower()
    base, *rest = whole.split("-")
    is_written_otherwise = base == "zh" or any(
        len(one) == SCRIPT_LETTERS and one.isalpha() for one in rest
    )
    keys: list[str] = []
    # Of zh-Hant-TW, what is known of zh-Hant holds, too.
    for kept in range(len(rest), 0 if rest and is_written_otherwise else -1, -1):
        code = "-".join([base, *rest[:kept]])
        keys += [_spelled(base, rest[:kept]), *filter(None, [OTHERS.get(code)])]
    return tuple(dict.fromkeys(keys))


def keys_in_order(languages: Iterable[object]) -> tuple[str, ...]:
    """Return the keys of several languages, and at the end those of English."""
    keys = [key for one in languages if isinstance(one, str) for key in keys_of(one)]
    return tuple(dict.fromkeys([*keys, ENGLISH]))


def _spelled(base: str, rest: list[str]) -> str:
    """Return a code as MaxMind spells it: ``pt-BR``."""
    return "-".join([base, *(one.upper() if len(one) == 2 else one for one in rest)])
