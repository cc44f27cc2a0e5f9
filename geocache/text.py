"""Make text from elsewhere fit for a page, a table of the database, or a terminal."""

import json
import re
from typing import Final

# Characters that may stand in no HTML page, however they are escaped. Source: WHATWG HTML 13.2.3.5.
UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")

# What a database may refuse: PostgreSQL takes no NUL, and each encoding but UTF-8 lacks characters.
UNSTORABLE: Final = re.compile(r"[^\x01-\x7f]+")
ESCAPED: Final = re.compile(r"\\u([0-9a-f]{4})")
# What a cut may leave at the end: the first half of a character, and some letters of an escape.
PART_OF_ESCAPE: Final = re.compile(r"(?:\\ud[89ab][0-9a-f]{2})?(?:\\(?:u[0-9a-f]{0,3})?)?\Z")


def strip_unprintable(text: str) -> str:
    """Return ``text`` with the replacement character for each that a page may not hold."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def storable(text: object) -> str:
    """Return text that every database accepts, whatever its encoding: ASCII without NUL.

    The rest is escaped as in JSON, so that a text that is JSON stays the same JSON.
    """
    return UNSTORABLE.sub(lambda match: json.dumps(match[0])[1:-1], str(text))


def storable_line(text: str, length: int) -> str:
    """Return ``storable`` text of one line, cut between two characters."""
    line = " ".join(strip_unprintable(text[: 2 * length]).split())
    stored = storable(line)
    if len(stored) > length:
        stored = PART_OF_ESCAPE.sub("", stored[:length]).rstrip()
    return stored


def unescaped(text: str) -> str:
    """Return what ``storable`` has escaped as it was, fit for a page."""
    plain = ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    # Two halves make one character; what has lost its other half is replaced.
    whole = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return strip_unprintable(whole)


def terminal_safe(text: str) -> str:
    """Return ``text`` with a question mark for each character that could move a cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def first_line(error: Exception) -> str:
    """Return the first line of an error's text; database drivers add pages to it."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
