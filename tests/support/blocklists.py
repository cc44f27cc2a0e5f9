"""Make and import blocklists, and read their entries from the table."""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

from geocache.addresses.blocks import Entry, is_entry, parse_entries
from geocache.blocklists import apply
from geocache.blocklists.outcome import Outcome
from geocache.blocklists.report import Report
from geocache.blocklists.sources import Origin
from geocache.blocklists.spool import spooled
from geocache.models import ListedAddress


def kept(text: str | bytes, folder: str = "") -> Any:
    """Return the content of a list, spooled."""
    data = text.encode() if isinstance(text, str) else text
    return spooled(io.BufferedReader(io.BytesIO(data)), folder)  # type: ignore[arg-type]


def a_list(*entries: str) -> str:
    return "".join(f"{entry}\n" for entry in entries)


def imported(*entries: str, name: str = "test", place: str = "", **options: Any) -> Outcome:
    """Import a list; plain ones without a process that reads them, which has tests of its own.

    For one thread at a time: of two that patch at once, one leaves its patch behind.
    """
    with kept(a_list(*entries)) as content, _read_here(*entries):
        return apply.import_list(Origin(name, place), content, **options)


def _read_here(*entries: str) -> AbstractContextManager[object]:
    if not entries or not all(map(is_entry, entries)):
        return nullcontext()
    given = GivenEntries(*{one for text in entries for one in parse_entries(text)})
    given.report.line_count = len(entries)
    return _reading(given)


def an_entry(text: str, score: float | None = None, comment: str = "") -> Entry:
    return parse_entries(text)[0]._replace(score=score, comment=comment)


class GivenEntries(list[Entry]):
    """Entries as a list has them, whatever its format is."""

    def __init__(self, *entries: Entry) -> None:
        super().__init__(sorted(entries))
        networks = sum(one.is_network for one in entries)
        self.report = Report("list", entry_count=len(entries), network_count=networks)


@contextmanager
def given_content(*entries: Entry) -> Iterator[Any]:
    """Give a content of which just these entries are read."""
    given = GivenEntries(*entries)
    with _reading(given), kept(repr(given)) as content:
        yield content


@contextmanager
def _reading(given: GivenEntries) -> Iterator[None]:
    with patch.object(apply, "read_entries") as read:
        read.return_value.__enter__.return_value = given
        yield


def imported_entries(*entries: Entry, name: str = "test") -> Outcome:
    """Import entries with scores and comments."""
    with given_content(*entries) as content:
        return apply.import_list(Origin(name, ""), content)


def listed(name: str = "test") -> list[str]:
    rows = ListedAddress.objects.listed().filter(source__name=name).in_order()
    return list(rows.values_list("entry", flat=True))
