"""Addresses as people hand them in: arguments, and files of lists, logs and other text."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, BinaryIO

from django.core.management.base import CommandError

from geocache.addresses import normalise
from geocache.exceptions import InvalidAddress, UnreadableText
from geocache.standard_input import open_input

if TYPE_CHECKING:
    from geocache.addresses import text_files
    from geocache.addresses.handed_in import LineWithout


@dataclass(frozen=True, slots=True)
class Line:
    """A normalised address; or the problem with a line, which names it; or neither.

    Of a log many lines have no address, and need not: they are counted only.
    """

    address: str = ""
    problem: str = ""


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file of addresses, ``-`` for standard input; raise ``CommandError``."""
    try:
        file = open_input(path)  # closed below; what fails there is another's error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    with file:
        yield file


def from_arguments(arguments: Iterable[str]) -> Iterator[Line]:
    """Read addresses that were named one by one."""
    for argument in arguments:
        try:
            yield Line(address=normalise(argument))
        except InvalidAddress as error:
            yield Line(problem=str(error))


def from_file(file: BinaryIO, watch: Callable[[int], object] = lambda _: None) -> Iterator[Line]:
    """Find all addresses in a file, as the look-up page does; ``watch`` is told the bytes read.

    Raises ``CommandError`` when the file can be opened but not read.
    """
    from geocache.addresses import text_files  # noqa: PLC0415 - for files alone

    try:
        for number, parts in groupby(text_files.lines(file, watch), key=attrgetter("number")):
            yield from _lines(number, parts)
    except (OSError, UnreadableText) as error:
        raise _unreadable(str(file.name), error) from error


def _lines(number: int, parts: "Iterable[text_files.Line]") -> Iterator[Line]:
    from geocache.addresses.extraction import find_addresses  # noqa: PLC0415 - for files alone
    from geocache.addresses.handed_in import line_without  # noqa: PLC0415 - as above

    without: LineWithout | None = None
    has_address = False
    for part in parts:
        for address in find_addresses(part.text, is_start=part.is_start):
            has_address = True
            yield Line(address=str(address))
        without = without or line_without(number, part.text)
    if without and not has_address:
        yield Line(problem=_problem(without) if without.is_entry else "")


def _problem(line: "LineWithout") -> str:
    if line.is_network:
        return f"line {line.number}: {line.word!r} is a network; give one address of it"
    return f"line {line.number}: {line.shown!r} is not an IP address"


def _unreadable(path: str, error: OSError | ValueError) -> CommandError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return CommandError(f"{path!r} cannot be read: {reason}")
