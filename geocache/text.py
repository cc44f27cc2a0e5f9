"""Make text from elsewhere fit for a page, a table of the database, or a terminal."""

import json
import re
from typing import Final

# Characters that may stand in no HTML page, however they are escaped. Source: WHATWG HTML 13.2.3.5.
UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")

# What a database may refuse: PostgreSQL takes no NUL, and each encoding but UTF-8 lacks characters.
UNSTORABLE: Final = re.compile(r"[^\x01-\x7f]+")


def strip_unprintable(text: str) -> str:
    """Return ``text`` with the replacement character for each that a page may not hold."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def storable(text: object) -> str:
    """Return text that every database accepts, whatever its encoding: ASCII without NUL.

    The rest is escaped as in JSON, so that a text that is JSON stays the same JSON.
    """
    return UNSTORABLE.sub(lambda match: json.dumps(match[0])[1:-1], str(text))


def terminal_safe(text: str) -> str:
    """Return ``text`` with a question mark for each character that could move a cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
