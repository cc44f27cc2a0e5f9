"""Read a whole list: ``python -m geocache.blocklists.reader`` is a process that may be ended.

A list of one kind or another can keep a library busy for hours, or make it take all memory. So this
process reads it from its standard input, within limits, and writes the entries to its standard
output and a few messages to standard error, a JSON object a line. Knows nothing of Django.
"""

import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Final

from geocache.addresses.blocks import Entry, parse_entries
from geocache.blocklists.entry_file import write_entries
from geocache.blocklists.foreign import SQLITE, markup_problem, page_problem
from geocache.blocklists.formats import detect
from geocache.blocklists.formats.base import IS_NO_ADDRESS, BadLine, Element, Found, Options, Remark
from geocache.blocklists.formats.fail2ban import database as fail2ban_database
from geocache.blocklists.report import Report
from geocache.blocklists.text_source import INVISIBLE, FileSource
from geocache.exceptions import ImportFailed, InvalidAddress

# What the publisher of an empty list says: so many comments of it, and letters.
MAX_REMARKS: Final = 5
REMARK_LETTERS: Final = 100
MEMORY_BYTES: Final = 2**30
OUTPUT_BYTES: Final = 2**31
# So many bad lines, most of a list, say enough.
MAX_BAD_LINES: Final = 100_000
# A message each so many bytes.
PROGRESS_BYTES: Final = 2**20


def read_list(
    file: IO[bytes],
    target: IO[bytes],
    options: Options,
    watch: Callable[[int], object] = lambda _: None,
) -> Report:
    """Write the entries of a list to ``target``; raise ``ImportFailed`` when there is none.

    ``watch`` is told how many bytes were read.
    """
    reading = Reading(file, options, watch)
    counts = write_entries(reading.entries(), target)
    reading.report.entry_count, reading.report.network_count = counts
    if not counts[0]:
        reading.refuse_empty()
    return reading.report


class Reading:
    """One list on its way through the reader of its format."""

    def __init__(self, file: IO[bytes], options: Options, watch: Callable[[int], object]) -> None:
        self.report = Report()
        self.remarks: list[str] = []
        self._file = file
        self._options = options
        self._source = FileSource(file, refuse=self.report.refuse, watch=watch)

    def entries(self) -> Iterator[Entry]:
        """Give all entries as they stand in the list, and count what is bad."""
        element_count = 0
        for found in self._found():
            if isinstance(found, Element):
                entries = self._parsed(found)
                element_count += bool(entries)
                yield from entries
            elif isinstance(found, BadLine):
                self.report.refuse(found)
            else:
                self._note(found)
            if self.report.bad_count > max(MAX_BAD_LINES, 10 * element_count):
                raise ImportFailed(
                    f"more than {MAX_BAD_LINES:,} of its lines, most of them, are not understood "
                    f"({self.report.bad_lines[0]})"
                )
        self.report.line_count = self.report.line_count or self._source.line_count

    def _found(self) -> Iterable[Found]:
        self._file.seek(0)
        if self._file.read(len(SQLITE)) == SQLITE:
            return self._in_database()
        head = self._source.head()
        form = detect.recognise(head, self._options)
        text = "\n".join(head.lines)
        # A page is none whatever a user says: the one of an error may show an address.
        problem = page_problem(text) or (detect.is_last(form) and markup_problem(text))
        if problem:
            raise ImportFailed(problem)
        self.report.format_name = form.name
        return form.read(self._source, self._options)

    def _in_database(self) -> Iterator[Found]:
        name = self._options.format_name
        if name and not detect.is_database_named(self._options):
            raise ImportFailed(f"it is a database of SQLite, not {name!r}")
        self.report.format_name = fail2ban_database.NAME
        for found in fail2ban_database.read(self._file, self._options):
            self.report.line_count += 1
            yield found

    def refuse_empty(self) -> None:
        """Raise ``ImportFailed`` unless an empty list is what its publisher means, and accepted."""
        if self.report.bad_count:
            raise ImportFailed(f"nothing in it is an address ({self.report.bad_lines[0]})")
        if not self._has_text():
            raise ImportFailed("nothing in it is an address (it is empty)")
        if self._options.allow_empty:
            return
        said = " / ".join(self.remarks)
        says = f'; its publisher says: "{said}"' if said else ""
        raise ImportFailed(
            f"nothing in it is an address{says}; --allow-empty accepts an empty list"
        )

    def _parsed(self, element: Element) -> list[Entry]:
        entries = []
        for text in element.texts:
            try:
                parsed = parse_entries(text.strip(INVISIBLE))
            except InvalidAddress as error:
                self.report.refuse(BadLine(element.line_number, text, _reason(text, error)))
                return []
            entries += parsed
        if element.score is None and not element.comment:
            return entries
        # Not by ``_replace``, which takes four times as long.
        return [Entry(*one[:3], element.score, element.comment) for one in entries]

    def _note(self, remark: Remark) -> None:
        text = " ".join(remark.text[: 2 * REMARK_LETTERS].split()).strip("#;/ ")
        if len(self.remarks) < MAX_REMARKS and any(map(str.isalpha, text)):
            self.remarks.append(text[:REMARK_LETTERS])

    def _has_text(self) -> bool:
        return any(text and not text.isspace() for text in self._source.chunks())


def _reason(text: str, error: InvalidAddress) -> str:
    """Return what an error says of a text, without the text, where it says more than that."""
    said = str(error).removeprefix(f"{text!r} ")
    return said if said.startswith("has host bits") or "too many" in said else IS_NO_ADDRESS


def main(request: str) -> int:
    """Read the list on standard input with these options and limits; return the exit code."""
    asked = json.loads(request)
    limit_resources(asked["seconds"])
    read = 0

    def watch(position: int) -> None:
        nonlocal read
        if position - read >= PROGRESS_BYTES:
            read = position
            say(read=read)

    try:
        report = read_list(sys.stdin.buffer, sys.stdout.buffer, Options(**asked["options"]), watch)
    except ImportFailed as error:
        say(error=str(error))
    except MemoryError:
        say(error=f"reading it takes more than {MEMORY_BYTES:,} bytes of memory")
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", "") or error
        say(error=f"its entries cannot be kept in {asked['folder']}: {reason}")
    else:
        say(report=asdict(report))
        return 0
    return 1


def say(**message: object) -> None:
    """Tell the process that waits; without it there is nothing left to do."""
    sys.stderr.write(f"{json.dumps(message)}\n")
    sys.stderr.flush()


def limit_resources(seconds: int) -> None:
    """Bound the processor time, the memory and the files of this process, where that can be."""
    try:
        import resource  # noqa: PLC0415 - only POSIX has it
    except ImportError:
        return
    for kind, soft, more in (
        ("RLIMIT_CPU", seconds, 5),
        ("RLIMIT_AS", MEMORY_BYTES, 0),
        ("RLIMIT_FSIZE", OUTPUT_BYTES, 0),
        ("RLIMIT_CORE", 0, 0),
    ):
        # Some systems lack one of them.
        with suppress(AttributeError, OSError, ValueError):
            number = getattr(resource, kind)
            # What is bounded more tightly already stays so.
            held = resource.getrlimit(number)[0]
            if held == resource.RLIM_INFINITY or held > soft:
                resource.setrlimit(number, (soft, soft + more))


if __name__ == "__main__":
    code = main(sys.argv[1])
    # Without the seconds that freeing a long list may take.
    os._exit(code)
