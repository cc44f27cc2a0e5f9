"""Addresses as people hand them in: arguments, and files with one address first on each line."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

from django.core.management.base import CommandError

from geocache.addresses import normalise
from geocache.exceptions import InvalidAddress

# A longer line is no line of addresses; more is never held in memory.
MAX_LINE_BYTES: Final = 65_536
BYTE_ORDER_MARK: Final = "\ufeff".encode()
FIRST_WORD: Final = re.compile(rb"\s*([^\s,;#]*)")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its normalised address, or the problem with it, which names the line."""

    address: str = ""
    problem: str = ""


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file of addresses, ``-`` for standard input; raise ``CommandError``."""
    is_standard_input = path == "-"
    try:
        file = open(  # noqa: SIM115 - closed below; what fails there is another's error
            0 if is_standard_input else path, "rb", closefd=not is_standard_input
        )
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    with file:
        yield file


def from_arguments(arguments: Iterable[str]) -> Iterator[Line]:
    """Read addresses that were named one by one."""
    for argument in arguments:
        yield _line("", argument)


def from_file(raw_lines: Iterable[bytes]) -> Iterator[Line]:
    """Read the first word of each line, without blank lines and what stands behind a ``#``."""
    for number, raw in enumerate(raw_lines, 1):
        place = f"line {number}: "
        if len(raw) > MAX_LINE_BYTES:
            yield Line(problem=f"{place}longer than {MAX_LINE_BYTES:,} bytes")
            continue
        match = FIRST_WORD.match(raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw)
        if match and match[1]:
            yield _line(place, match[1])


def split(file: BinaryIO) -> Iterator[bytes]:
    """Split a file into lines, of each at most one byte more than ``MAX_LINE_BYTES``.

    Raises ``CommandError`` when the file can be opened but not read.
    """
    while raw := _read(file):
        yield raw
        while raw and not raw.endswith(b"\n"):
            raw = _read(file)


def _read(file: BinaryIO) -> bytes:
    try:
        return file.readline(MAX_LINE_BYTES + 1)
    except OSError as error:
        raise _unreadable(str(file.name), error) from error


def _unreadable(path: str, error: OSError | ValueError) -> CommandError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return CommandError(f"{path!r} cannot be read: {reason}")


def _line(place: str, word: str | bytes) -> Line:
    try:
        return Line(address=normalise(word if isinstance(word, str) else word.decode()))
    except InvalidAddress as error:
        return Line(problem=f"{place}{error}")
    except UnicodeDecodeError:
        return Line(problem=f"{place}not UTF-8 text")
