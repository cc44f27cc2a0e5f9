"""Answers as files: CSV that no spreadsheet runs, JSON, and JSON lines; streamed, of any length."""

import csv
import json
import re
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from geocache.location import FIELDS, Location
from geocache.providers.credits import CREDIT, Credits, credited

# Where a spreadsheet begins a cell: with a text, and inside it after what separates cells or lines
# in some countries. What the cell begins with is a formula also in full width, or after spaces and
# invisible characters. Source: OWASP, CSV Injection.
SIGNS: Final = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"
BREAKS: Final = r";\t\r\n"
FORMULA: Final = re.compile(
    rf"(?:^|(?<=[{BREAKS}]))(?=[^\w{BREAKS}{SIGNS}]*[{SIGNS}])|^(?=[{BREAKS}])"
)
# Columns of releases up to 0.2.0, which end with the credit, and those that came later.
OLD_COLUMNS: Final = FIELDS[: FIELDS.index("continent_code")]
NEW_COLUMNS: Final = tuple(
    "field_sources" if name == "given_by" else name for name in FIELDS[len(OLD_COLUMNS) :]
)
# Each chunk is one write to the network.
LINES_PER_CHUNK: Final = 500


def to_csv(locations: Iterable[Location]) -> Iterator[str]:
    """Give the lines of a CSV file, RFC 4180, the first of them with the names of the fields."""
    writer, thanks = csv.writer(_Echo()), Credits()
    # Of a few sources, and the longest text of a row.
    credit = cache(lambda source: _cell(thanks.line(source)))
    # What came later is last: programs that read columns by their number find the others where they
    # were. A line of its own, before or after the rows, would be an answer to most programs.
    yield writer.writerow([*OLD_COLUMNS, CREDIT, *NEW_COLUMNS])
    for location in locations:
        old = [_cell(getattr(location, name)) for name in OLD_COLUMNS]
        new = [_cell(getattr(location, name)) for name in NEW_COLUMNS]
        yield writer.writerow([*old, credit(location.source), *new])


def to_json(locations: Iterable[Location]) -> Iterator[str]:
    """Give the lines of one JSON array."""
    yield "["
    separator, thanks = "\n", Credits()
    for location in locations:
        yield separator + _object(location, thanks)
        separator = ",\n"
    yield "\n]\n"


def to_json_lines(locations: Iterable[Location]) -> Iterator[str]:
    """Give one JSON object a line."""
    thanks = Credits()
    for location in locations:
        yield _object(location, thanks) + "\n"


class Kind(NamedTuple):
    """A kind of file."""

    content_type: str
    lines: Callable[[Iterable[Location]], Iterator[str]]


# By the ending of the file's name.
KINDS: Final = {
    "csv": Kind("text/csv; charset=utf-8", to_csv),
    "json": Kind("application/json", to_json),
    "jsonl": Kind("application/jsonl", to_json_lines),
}


def download(
    request: HttpRequest, locations: Iterable[Location], kind: str, name: str
) -> StreamingHttpResponse:
    """Answer ``request`` with a file of one of ``KINDS``, made while it is sent."""
    chunks: Any = _chunks(KINDS[kind].lines(locations))
    if isinstance(request, ASGIRequest):
        # Django would first collect what is not asynchronous.
        chunks = _Asynchronous(chunks)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}
    return StreamingHttpResponse(chunks, content_type=KINDS[kind].content_type, headers=headers)


class _Asynchronous:
    """Chunks for an asynchronous server, made in a thread."""

    def __init__(self, chunks: Generator[str, None, None]) -> None:
        self._chunks = chunks
        # Django calls it with the response's own: whoever stops reading ends the query, too.
        self.close = chunks.close

    async def __aiter__(self) -> AsyncIterator[str]:
        while chunk := await sync_to_async(lambda: next(self._chunks, ""))():
            yield chunk


class _Echo:
    """A file that returns what is written to it."""

    def write(self, text: str) -> str:
        return text


def defuse(text: str) -> str:
    """Return ``text`` with an apostrophe before all that a spreadsheet would run as a formula."""
    return FORMULA.sub("'", text)


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return defuse(_several(value))
    if isinstance(value, Mapping):
        return defuse(json.dumps(dict(value), ensure_ascii=False)) if value else ""
    # Numbers stay numbers, below zero too.
    return defuse(value) if isinstance(value, str) else value


def _several(values: tuple[Any, ...]) -> str:
    """Return traits or subdivisions as the text of one cell."""
    if all(isinstance(one, str) for one in values):
        return " ".join(values)
    return "; ".join(f"{one.code} {one.name}".strip() for one in values)


def _object(location: Location, thanks: Credits) -> str:
    return json.dumps(credited(location.to_plain(), thanks), ensure_ascii=False)


def _chunks(lines: Iterator[str]) -> Generator[str, None, None]:
    for first in lines:
        yield "".join(chain([first], islice(lines, LINES_PER_CHUNK - 1)))
