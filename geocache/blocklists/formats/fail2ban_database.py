"""fail2ban's own database: all addresses that it has bans of."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Final

from geocache.blocklists.formats.base import Element, Found, Options
from geocache.exceptions import ImportFailed

NAME: Final = "fail2ban's database"


def read(file: IO[bytes], options: Options) -> Iterator[Found]:  # noqa: ARG001 - it takes none yet
    """Read a database of SQLite; raise ``ImportFailed`` when it is not one of fail2ban."""
    handle, name = tempfile.mkstemp(prefix="geocache-import-")
    copy = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            file.seek(0)
            shutil.copyfileobj(file, target)
        with closing(sqlite3.connect(f"{copy.as_uri()}?immutable=1", uri=True)) as database:
            database.execute("SELECT COUNT(*) FROM sqlite_master")
            # What is killed from here on leaves no file. Windows removes none that is open.
            with suppress(PermissionError):
                copy.unlink()
            rows = database.execute("SELECT DISTINCT ip FROM bans")
            for number, (word,) in enumerate(rows, 1):
                yield Element(number, (str(word),))
    except sqlite3.Error as error:
        raise ImportFailed(f"no database of fail2ban: {error}") from error
    finally:
        copy.unlink(missing_ok=True)
