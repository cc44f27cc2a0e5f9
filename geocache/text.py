"""Text that a page can hold, whatever somebody sent."""

import re
from typing import Final

# Characters that may stand in no HTML page, however they are escaped. Source: WHATWG HTML 13.2.3.5.
UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def printable(text: str) -> str:
    """Return ``text`` with the replacement character for each that a page may not hold."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
