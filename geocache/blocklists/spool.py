"""The content of one list, unpacked and hashed while it is kept in a file.

The file has no name: it is gone with the process, however that ends. (Only a copy of a database
has one, until SQLite has opened it.) Memory stays flat whatever the length of a list.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import IO, Final

from geocache.decoding.compression import unpacked
from geocache.exceptions import ImportFailed, UnreadableText

# Unpacked. The largest lists that are published have some ten megabytes.
MAX_BYTES: Final = 2**30


@dataclass(frozen=True, slots=True)
class Spooled:
    """Content that is kept in a file, unpacked, and the SHA-256 of it."""

    file: IO[bytes]
    sha256: str
    byte_count: int
    # Where it is kept, and all else that is made of it.
    folder: str


def temporary_folder(reserve: Path | None = None) -> str:
    """Return where files without a name can be kept: ``reserve`` if there is no place of its own.

    Raises ``ImportFailed``.
    """
    try:
        return tempfile.gettempdir()
    except OSError as error:
        if reserve is not None and os.access(reserve, os.W_OK | os.X_OK):
            return str(reserve)
        also = f" nor in {reserve}" if reserve is not None else ""
        raise ImportFailed(
            f"it cannot be kept: nothing can be written to a temporary folder (TMPDIR){also}"
        ) from error


@contextmanager
def spooled(
    source: BufferedReader | BufferedRandom,
    folder: str = "",
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Spooled]:
    """Keep all of ``source`` in a file, unpacked if need be; raise ``ImportFailed``."""
    folder = folder or temporary_folder()
    with temporary_file(folder) as kept:
        digest, count = sha256(), 0
        with disk_errors(folder):
            for chunk in unpacked(source):
                if is_stopped():
                    raise ImportFailed("stopped before it was done")
                count += len(chunk)
                if count > MAX_BYTES:
                    raise ImportFailed(
                        f"larger than {MAX_BYTES:,} bytes; that is not a list of addresses"
                    )
                digest.update(chunk)
                kept.write(chunk)
            kept.seek(0)
        yield Spooled(kept, digest.hexdigest(), count, folder)


@contextmanager
def temporary_file(folder: str) -> Iterator[BufferedRandom]:
    """Give a file without a name; raise ``ImportFailed`` where there can be none."""
    with disk_errors(folder):
        # Closed below: what fails in between is another's error.
        kept = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
    with closing(kept):
        yield kept


@contextmanager
def snapshot(path: str, folder: str = "") -> Iterator[BufferedReader]:
    """Give a copy of a database of SQLite, whole also while another process writes to it."""
    with (
        _named_file(folder or temporary_folder()) as name,
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
def disk_errors(folder: str) -> Iterator[None]:
    """Raise ``ImportFailed`` where a content cannot be read or kept, as on a full disk."""
    try:
        yield
    except UnreadableText as error:
        raise ImportFailed(str(error)) from error
    except OSError as error:
        reason = error.strerror or error
        raise ImportFailed(f"it cannot be kept in {folder}: {reason}") from error


@contextmanager
def _named_file(folder: str) -> Iterator[str]:
    """Give the name of an empty file; it is gone afterwards, if not before."""
    with disk_errors(folder):
        handle, name = tempfile.mkstemp(prefix="geocache-import-", dir=folder)
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
