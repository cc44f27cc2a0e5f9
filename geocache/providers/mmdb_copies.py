"""Open a copy of each database file, as a file that is in use may be written over.

What is mapped into memory changes with its file: answers are then of neither file, and where the
file becomes shorter the process is killed (SIGBUS). So a verified file is copied into ``VAR_DIR``
once, by the name of its stamp, for all processes. Nothing is ever written to a copy.
"""

import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE
from typing import IO, Final

from geocache import conf
from geocache.exceptions import NotVerifiedYet
from geocache.providers.verified_files import Stamp

FOLDER: Final = "opened_databases"
ENDING: Final = ".mmdb"
DRAFT: Final = ".part"
# After so long a copy that this process does not use is removed: a process that does has it open.
KEPT_SECONDS: Final = 86_400.0
# As much as one call is asked to copy.
CHUNK_BYTES: Final = 2**30


class Pin:
    """Keeps a file open: no other file gets its inode, by which it is told from a replaced one."""

    def __init__(self, path: Path) -> None:
        """Raise ``OSError`` where there is none."""
        weakref.finalize(self, os.close, os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)))


def copy_of(path: Path, stamp: Stamp) -> Path:
    """Return a copy of the file that had ``stamp`` at ``path`` when it was verified.

    Raises ``OSError`` where none can be made, and ``NotVerifiedYet`` if it is another file by now.
    """
    copy = _place(stamp)
    if not _is_whole(copy, stamp):
        copy.parent.mkdir(mode=0o700, exist_ok=True)
        _make(path, stamp, copy)
    return copy


def remove_copies(gone: Iterable[Stamp], used: Iterable[Stamp]) -> None:
    """Remove the copies of files that are ``gone``, and what ended processes have left."""
    for stamp in gone:
        _remove(_place(stamp))
    kept = {_place(stamp) for stamp in used}
    for file in conf.var_dir().glob(f"{FOLDER}/*"):
        with suppress(OSError):
            if file not in kept and time.time() - file.stat().st_mtime > KEPT_SECONDS:
                _remove(file)


def _place(stamp: Stamp) -> Path:
    return conf.var_dir() / FOLDER / f"{stamp.key}{ENDING}"


def _is_whole(copy: Path, stamp: Stamp) -> bool:
    try:
        return copy.stat().st_size == stamp.byte_count
    except FileNotFoundError:
        return False


def _remove(file: Path) -> None:
    # Windows removes no file that is open.
    with suppress(OSError):
        file.unlink(missing_ok=True)


def _make(path: Path, stamp: Stamp, copy: Path) -> None:
    handle, name = tempfile.mkstemp(dir=copy.parent, suffix=DRAFT)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as target, path.open("rb") as source:
            mode = S_IMODE(os.fstat(source.fileno()).st_mode)
            _copy(source, target)
            target.flush()
            os.fsync(target.fileno())
        if Stamp.of(path) != stamp or not _is_whole(draft, stamp):
            raise NotVerifiedYet(f"{path}: is being written, and will be verified after that")
        with suppress(OSError):
            # Who may read the file may read its copy.
            draft.chmod(mode)
        draft.replace(copy)
    finally:
        draft.unlink(missing_ok=True)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    # Where the file system can, both then share their blocks.
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):
            while os.copy_file_range(source.fileno(), target.fileno(), CHUNK_BYTES):
                pass
            return
    source.seek(0)
    target.seek(0)
    shutil.copyfileobj(source, target)
