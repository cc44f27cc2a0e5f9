"""One process at a time, by a lock of the kernel on a file."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geocache.exceptions import UpdateBusy


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only one who changes ``folder``, or raise ``UpdateBusy``.

    The lock is the kernel's: it goes with the process that holds it, however that ends.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UpdateBusy("another update is at work; it does the same") from error
        yield
