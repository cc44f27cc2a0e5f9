"""Put a file in the place of another, so that whoever reads finds the one or the other, whole."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        # It is for people who want to go back: a disk without room for it is no reason to stay.
        with suppress(OSError):
            _keep(target, target.with_name(target.name + PREVIOUS))
    replace(path, target)


def _keep(target: Path, previous: Path) -> None:
    """Make ``previous`` the same as ``target``, which stays there all the time."""
    with draft(target) as second:
        try:
            second.unlink()
            second.hardlink_to(target)
        except OSError:
            # The file system has no hard links, or the file belongs to another user.
            shutil.copyfile(target, second)
            replace(second, previous)
        else:
            second.replace(previous)


def replace(path: Path, target: Path) -> None:
    """Rename ``path`` to ``target``, once it is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    # It was made for its owner alone; the folder says who may read. Not each file system has modes.
    with suppress(OSError):
        path.chmod(0o644)
    path.replace(target)
    # It is installed by now; not each file system lets a folder be written out.
    with suppress(OSError):
        _sync_folder(target.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
