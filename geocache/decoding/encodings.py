"""The encoding of a text, by its mark or by its zeros; what is not of it is replaced."""

import codecs
from io import IncrementalNewlineDecoder
from typing import Final

# UTF-32 first: its mark begins as that of UTF-16 does.
MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Without a mark: which bytes of each unit are mostly zero in a text that is mostly ASCII.
WIDE: Final = (
    ("utf-32-le", 4, (1, 2, 3)),
    ("utf-32-be", 4, (0, 1, 2)),
    ("utf-16-le", 2, (1,)),
    ("utf-16-be", 2, (0,)),
)
# More than a list has whose short addresses end with NUL.
MOSTLY: Final = 0.6


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Decode what is not of its encoding: the no-break space of one byte, or a replacement."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    raw = error.object[error.start : error.end]
    return " " if raw == b"\xa0" else "\N{REPLACEMENT CHARACTER}", error.end


ERRORS: Final = "geocache.replace"
codecs.register_error(ERRORS, _replace)


def line_decoder(encoding: str) -> IncrementalNewlineDecoder:
    """Return a decoder that gives LF for each line end; it never fails."""
    return IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(ERRORS), translate=True)


def find_encoding(head: bytes) -> tuple[str, int]:
    """Return the encoding of a text that begins so, and the length of its mark.

    What is neither Unicode nor ASCII is read as UTF-8: addresses are ASCII in all of them.
    """
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    if b"\0" in head:
        for encoding, width, zeros in WIDE:
            if _has_zeros(head, width, zeros):
                return encoding, 0
    return "utf-8", 0


def _has_zeros(head: bytes, width: int, zeros: tuple[int, ...]) -> bool:
    """Tell whether in most units these bytes are zero, and the others are not."""
    return all(
        (column.count(0) > MOSTLY * len(column)) == (place in zeros)
        for place in range(width)
        for column in [head[place : len(head) // width * width : width]]
    )
