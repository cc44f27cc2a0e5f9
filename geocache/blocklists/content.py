"""The content of one list: hashed while it is kept in a file, and its entries in order.

Both are files without a name: they are gone with the process, however that ends. (Only where SQLite
has to read one does it have a name, while it is copied and opened.) Memory stays flat whatever the
length of a list.
"""

import gzip
import os
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from io import BufferedRandom, BufferedReader
from itertools import islice, starmap
from pathlib import Path
from typing import IO, Final

from geocache.addresses.blocks import Entry, parse_entries
from geocache.blocklists.formats.line_formats import HEAD_LINES, Format, Words, recognise
from geocache.exceptions import ImportFailed, InvalidAddress
from geocache.text import strip_unprintable

GZIP: Final = b"\x1f\x8b"
SQLITE: Final = b"SQLite format 3\0"
CHUNK_BYTES: Final = 2**18
# Unpacked. The largest lists that are published have some ten megabytes.
MAX_BYTES: Final = 2**30
MAX_LINE_BYTES: Final = 2**20
SHOWN_BAD_LINES: Final = 5
SHOWN_LETTERS: Final = 80
FAIL2BAN: Final = "fail2ban's database"

# Is told how many bytes more are done.
Watch = Callable[[int], object]


@dataclass(slots=True)
class Report:
    """What was read: counts, and the first bad lines."""

    format_name: str = ""
    line_count: int = 0
    bad_count: int = 0
    bad_lines: list[str] = field(default_factory=list)
    entry_count: int = 0
    network_count: int = 0

    def refuse(self, number: int, word: str) -> None:
        """Count a bad line, and keep it if it is one of the first."""
        self.bad_count += 1
        if len(self.bad_lines) < SHOWN_BAD_LINES:
            shown = strip_unprintable(word)[:SHOWN_LETTERS]
            self.bad_lines.append(f"line {number}: {shown!r} is no address")


@dataclass(frozen=True, slots=True)
class Spooled:
    """Content that is kept in a file, unpacked, and the SHA-256 of it."""

    file: IO[bytes]
    sha256: str
    byte_count: int


@contextmanager
def spooled(source: BufferedReader | BufferedRandom) -> Iterator[Spooled]:
    """Keep all of ``source`` in a file, unpacked if need be; raise ``ImportFailed``."""
    with tempfile.TemporaryFile() as kept:
        digest, count = sha256(), 0
        with disk_errors():
            for chunk in _chunks(source):
                count += len(chunk)
                if count > MAX_BYTES:
                    raise ImportFailed(
                        f"larger than {MAX_BYTES:,} bytes; that is no list of addresses"
                    )
                digest.update(chunk)
                kept.write(chunk)
            kept.seek(0)
        yield Spooled(kept, digest.hexdigest(), count)


@contextmanager
def snapshot(path: str) -> Iterator[BufferedReader]:
    """Give a copy of a database of SQLite, whole also while another process writes to it."""
    with (
        _named_file() as name,
        Path(name).open("rb") as file,
        closing(sqlite3.connect(name)) as copy,
    ):
        try:
            # A journal would be one more file with a name; a copy that fails is not used.
            copy.execute("PRAGMA journal_mode=OFF")
            _remove_name(copy, name)
            uri = f"{Path(path).resolve().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as held:
                held.backup(copy)
        except sqlite3.Error as error:
            raise ImportFailed(f"{path!r} cannot be read: {error}") from error
        yield file


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raise ``ImportFailed`` where a content cannot be read or kept, as on a full disk."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ImportFailed(f"it cannot be kept in {tempfile.gettempdir()}: {reason}") from error


@contextmanager
def _named_file() -> Iterator[str]:
    """Give the name of an empty file; it is gone afterwards, if not before."""
    handle, name = tempfile.mkstemp(prefix="geocache-import-")
    os.close(handle)
    try:
        yield name
    finally:
        Path(name).unlink(missing_ok=True)


def _remove_name(database: sqlite3.Connection, name: str) -> None:
    """Remove the name of an open file: what is killed now leaves nothing."""
    # SQLite opens the file with the first statement that needs it.
    database.execute("SELECT COUNT(*) FROM sqlite_master")
    # Windows removes no file that is open.
    with suppress(PermissionError):
        Path(name).unlink()


class Entries:
    """The distinct entries of one list in their order, in a private file."""

    def __init__(self, spooled: Spooled, watch: Watch = lambda _: None) -> None:
        """Read all lines; raise ``ImportFailed`` when nothing among them is an address."""
        self.report = Report()
        # An empty name: a database that is on the disk, has no name, and is deleted when closed.
        self._database = sqlite3.connect("", isolation_level=None)
        try:
            self._database.execute(
                "CREATE TABLE entry (sort_key TEXT, prefix_length INT, text TEXT,"
                " PRIMARY KEY (sort_key, prefix_length)) WITHOUT ROWID"
            )
            self._read(spooled, watch)
        except BaseException as error:
            self.close()
            if isinstance(error, sqlite3.Error):
                raise ImportFailed(
                    f"its entries cannot be kept in {tempfile.gettempdir()}: {error}"
                ) from error
            raise

    def __iter__(self) -> Iterator[Entry]:
        rows = self._database.execute(
            "SELECT sort_key, prefix_length, text FROM entry ORDER BY 1, 2"
        )
        return starmap(Entry, rows)

    def close(self) -> None:
        """Delete the file."""
        self._database.close()

    def _read(self, spooled: Spooled, watch: Watch) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(
            "INSERT OR IGNORE INTO entry VALUES (?, ?, ?)",
            (one[:3] for one in self._parsed(spooled, watch)),
        )
        self._database.execute("COMMIT")
        self.report.entry_count, networks = self._database.execute(
            "SELECT COUNT(*), SUM(text LIKE '%/%') FROM entry"
        ).fetchone()
        self.report.network_count = networks or 0
        if not self.report.entry_count:
            shown = self.report.bad_lines[0] if self.report.bad_lines else "it is empty"
            raise ImportFailed(f"nothing in it is an address ({shown})")

    def _parsed(self, spooled: Spooled, watch: Watch) -> Iterator[Entry]:
        for number, words in self._lines(spooled, watch):
            for word in words:
                try:
                    yield from parse_entries(word)
                except InvalidAddress:
                    self.report.refuse(number, word)

    def _lines(self, spooled: Spooled, watch: Watch) -> Iterator[tuple[int, Words]]:
        spooled.file.seek(0)
        if spooled.file.read(len(SQLITE)) == SQLITE:
            self.report.format_name = FAIL2BAN
            yield from self._banned(spooled.file)
            return
        form = self._format(spooled.file)
        self.report.format_name = form.name
        spooled.file.seek(0)
        for raw in iter(lambda: spooled.file.readline(MAX_LINE_BYTES), b""):
            self.report.line_count += 1
            watch(len(raw))
            yield self.report.line_count, form.read(_text(raw))

    def _banned(self, file: IO[bytes]) -> Iterator[tuple[int, Words]]:
        """Give all addresses that fail2ban's own database has bans of."""
        with _named_file() as name:
            file.seek(0)
            with disk_errors(), Path(name).open("wb") as copy:
                shutil.copyfileobj(file, copy)
            try:
                with closing(
                    sqlite3.connect(f"{Path(name).as_uri()}?immutable=1", uri=True)
                ) as database:
                    _remove_name(database, name)
                    for (word,) in database.execute("SELECT DISTINCT ip FROM bans"):
                        self.report.line_count += 1
                        yield self.report.line_count, iter([str(word)])
            except sqlite3.Error as error:
                raise ImportFailed(f"no database of fail2ban: {error}") from error

    @staticmethod
    def _format(file: IO[bytes]) -> Format:
        file.seek(0)
        head = islice(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 10 * HEAD_LINES)
        meant = (text for text in map(_text, head) if text.strip() and not text.startswith("#"))
        return recognise(list(islice(meant, HEAD_LINES)))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8-sig", errors="replace")


def _chunks(source: BufferedReader | BufferedRandom) -> Iterator[bytes]:
    is_packed = source.peek(len(GZIP))[: len(GZIP)] == GZIP
    stream = gzip.GzipFile(fileobj=source) if is_packed else source
    try:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ImportFailed("it is damaged or cut off, and cannot be unpacked") from error
