"""Make text from elsewhere fit for a page, a table of the database, or a terminal."""

import re
from typing import Final

# Characters that may stand in no HTML page, however they are escaped. Source: WHATWG HTML 13.2.3.5.
UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def strip_unprintable(text: str) -> str:
    """Return ``text`` with the replacement character for each that a page may not hold."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def storable(text: object) -> str:
    """Return text that every database accepts: NUL and lone surrogates are escaped."""
    return str(text).replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def terminal_safe(text: str) -> str:
    """Return ``text`` with a question mark for each character that could move a cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
