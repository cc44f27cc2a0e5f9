"""Texts that people hand in and that are no lists: told by how they begin."""

import re
from typing import Final

SQLITE: Final = b"SQLite format 3\0"
PAGE: Final = re.compile(
    r"\s*(?:<!--[^>]*>\s*)?<(?:!doctype\s+html|html|head|body|title)\b", re.IGNORECASE
)
MARKUP: Final = re.compile(r"\s*<[!?a-z][^\s>]*[\s>]", re.IGNORECASE)


def page_problem(head: str) -> str:
    """Return why a content that begins with this text is not a list, or the empty text."""
    if PAGE.match(head):
        return "it is an HTML page, perhaps one that says what is wrong; check where it comes from"
    return ""


def markup_problem(head: str) -> str:
    """Return why a content of no known format is not a list, or the empty text."""
    if MARKUP.match(head):
        return "it is an XML document; ask its publisher for a list as text, CSV or JSON"
    return ""
