"""The distinct entries of a list in their order: sorted on the disk, then one a line in a file."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import IO, Final

from geocache.addresses.blocks import Entry, finite_score
from geocache.text import strip_unprintable

CHUNK_BYTES: Final = 2**18
MAX_COMMENT_LETTERS: Final = 500
# An empty name: a database that is on the disk, has no name, and is deleted when closed.
WITHOUT_NAME: Final = ""

CREATE_SQL: Final = (
    "CREATE TABLE entry (sort_key TEXT, prefix_length INT, text TEXT, score REAL, comment TEXT,"
    " PRIMARY KEY (sort_key, prefix_length)) WITHOUT ROWID"
)
# Of an entry that a list has twice: the highest score, and the first comment.
ADD_SQL: Final = (
    "INSERT INTO entry VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " score = max(coalesce(score, excluded.score), coalesce(excluded.score, score)),"
    " comment = CASE comment WHEN '' THEN excluded.comment ELSE comment END"
    " WHERE excluded.score IS NOT NULL OR excluded.comment <> ''"
)


def write_entries(entries: Iterable[Entry], file: IO[bytes]) -> tuple[int, int]:
    """Write entries, each once, in their order; return how many, and how many are networks.

    Raises ``sqlite3.Error`` and ``OSError`` where there is no room for them.
    """
    count = network_count = 0
    with closing(sqlite3.connect(WITHOUT_NAME, isolation_level=None)) as database:
        database.execute(CREATE_SQL)
        database.execute("BEGIN")
        database.executemany(ADD_SQL, map(_row, entries))
        for row in database.execute("SELECT * FROM entry ORDER BY 1, 2"):
            count += 1
            network_count += "/" in row[2]
            file.write(_line(*row))
    file.flush()
    return count, network_count


def read_entries(file: IO[bytes]) -> Iterator[Entry]:
    """Give what ``write_entries`` has written; several readers may take turns."""
    position = 0
    while True:
        file.seek(position)
        lines = file.readlines(CHUNK_BYTES)
        if not lines:
            return
        position = file.tell()
        yield from map(_entry, lines)


def _row(entry: Entry) -> Entry:
    if entry.is_plain:
        return entry
    return entry._replace(score=finite_score(entry.score), comment=_one_line(entry.comment))


def _one_line(comment: str) -> str:
    text = " ".join(strip_unprintable(comment[: 2 * MAX_COMMENT_LETTERS]).split())
    # A lone surrogate, as JSON may have it, can be written nowhere.
    return text[:MAX_COMMENT_LETTERS].encode("utf-8", "replace").decode()


def _line(sort_key: str, length: int, text: str, score: float | None, comment: str) -> bytes:
    shown = "" if score is None else repr(score)
    return f"{sort_key}\t{length}\t{text}\t{shown}\t{comment}\n".encode()


def _entry(line: bytes) -> Entry:
    sort_key, length, text, score, comment = line.decode().removesuffix("\n").split("\t")
    return Entry(sort_key, int(length), text, float(score) if score else None, comment)
