"""The order of words in a dictionary, which is not that of their code points."""

from unicodedata import combining, normalize


def sort_text(word: str) -> str:
    """Return what sorts ``word`` as a dictionary does: Ägypten stands among the words with A."""
    return "".join(one for one in normalize("NFKD", word) if not combining(one)).casefold()
