"""Open what a command is told to read: a file, or ``-`` for standard input."""

import errno
import sys
from io import BufferedReader
from typing import Final

STANDARD_INPUT: Final = "-"


def open_input(path: str) -> BufferedReader:
    """Open a file of bytes; standard input is not closed with it.

    Raises ``OSError``, also where standard input is closed: its number is then that of another file
    of this process. Raises ``ValueError`` for a path that no file can have.
    """
    is_standard_input = path == STANDARD_INPUT
    if is_standard_input and sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    return open(0 if is_standard_input else path, "rb", closefd=not is_standard_input)
