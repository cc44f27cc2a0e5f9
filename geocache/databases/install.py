"""Put a file in the place of another, so that whoever reads finds the one or the other, whole."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# How names of unfinished files end: not in .mmdb, which is what is read as a database.
DRAFT: Final = ".part"
PREVIOUS: Final = ".previous"


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """Give a new file beside ``target`` to write to; it is gone afterwards unless installed."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=DRAFT)
    os.close(handle)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes have left unfinished; only under the lock of updates."""
    for path in folder.glob(f".*{DRAFT}"):
        path.unlink(missing_ok=True)


def install(path: Path, target: Path) -> None:
    """Rename ``path`` to ``target``, once it is on the disk, and keep what was there before.

    Never written over in place: processes have the old file mapped into their memory.
    """
    if target.exists():
        with draft(target) as link:
            link.unlink()
            link.hardlink_to(target)
            link.replace(target.with_name(target.name + PREVIOUS))
    replace(path, target)


def replace(path: Path, target: Path) -> None:
    """Rename ``path`` to ``target``, once it is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    # It was made for its owner alone; the folder says who may read.
    path.chmod(0o644)
    path.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
