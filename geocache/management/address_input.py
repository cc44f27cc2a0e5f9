"""Addresses as people hand them in: arguments, and files of lists, logs and other text."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from django.core.management.base import CommandError

from geocache.addresses import normalise
from geocache.exceptions import InvalidAddress, UnreadableText
from geocache.management.address_chunk import Chunk
from geocache.standard_input import open_input


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file of addresses, ``-`` for standard input; raise ``CommandError``."""
    try:
        file = open_input(path)  # closed below; what fails there is another's error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    with file:
        yield file


def from_arguments(arguments: Iterable[str]) -> Chunk:
    """Read addresses that were named one by one."""
    chunk = Chunk()
    for argument in arguments:
        try:
            chunk.addresses.append(normalise(argument))
        except InvalidAddress as error:
            chunk.problems.append(str(error))
    return chunk


def from_file(file: BinaryIO, watch: Callable[[int], object] = lambda _: None) -> Iterator[Chunk]:
    """Find all addresses in a file, as the look-up page does; ``watch`` is told the bytes read.

    What a pipe has is given before more of it is waited for. Raises ``CommandError`` when the file
    can be opened but not read, after what was read.
    """
    # Imported for files alone, not for the start of each command.
    from geocache.addresses import text_files  # noqa: PLC0415
    from geocache.management.file_reading import FileReading  # noqa: PLC0415

    reading = FileReading()
    try:
        for lines in text_files.lines(file, watch):
            reading.read(lines)
            if lines.is_all or reading.is_full:
                yield reading.take()
    except (OSError, UnreadableText) as error:
        yield reading.take()
        raise _unreadable(str(file.name), error) from error
    reading.end_line()
    yield reading.take()


def _unreadable(path: str, error: OSError | ValueError) -> CommandError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return CommandError(f"{path!r} cannot be read: {reason}")
