"""Walk through a whole database file with its reader, in a process that may end by it.

The C reader ends the process on some damaged files, and an endless tree keeps it busy for as long
as it may. ``python -m geocache.providers.mmdb_walk FILE VERIFIED_FILES CPU_SECONDS WRITES`` prints
what is wrong with the file; or, with exit code 0, its SHA-256, when it is verified and remembered
as such. With ``no`` for WRITES nothing is written. Knows nothing of Django.
"""

import sys
import warnings
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import maxminddb

from geocache.exceptions import GeocacheError
from geocache.locks.file_lock import exclusive_lock
from geocache.providers.verified_files import Stamp, VerifiedFiles, content_sha256

UNREADABLE: Final = "not a readable MaxMind DB file"
# Beside the file itself, which is mapped into memory.
MEMORY_BYTES: Final = 2**30
# The exit code for a good file that could not be remembered.
NOT_KEPT: Final = 3
WRITES, WRITES_NOT = "yes", "no"


def reader_name() -> str:
    """Return which reader ``maxminddb`` uses here, and of which release."""
    has_extension = getattr(maxminddb, "_extension", None) is not None
    return f"maxminddb {maxminddb.__version__} {'C' if has_extension else 'Python'}"


def walk(path: Path) -> str:
    """Read every record of a file; return what is wrong with it, or the empty text."""
    try:
        reader = maxminddb.open_database(path)
        reader.metadata()
    # Whatever a reader raises, the file is not one that can be read.
    except Exception:  # noqa: BLE001 - see above
        return UNREADABLE
    try:
        with reader, warnings.catch_warnings():
            # The C reader makes a text of memory that it has not filled, and Python warns of that.
            warnings.simplefilter("error")
            for _ in reader:
                pass
    except MemoryError:
        return "damaged: it needs too much memory"
    except Exception as error:  # noqa: BLE001 - as above
        return f"damaged: {' '.join(str(error).split()) or type(error).__name__}"
    return ""


def main(file: str, verified: str, cpu_seconds: str, writes: str = WRITES) -> int:
    """Verify a file unless its content is known; print what was found, and return the exit code."""
    path, seconds = Path(file), int(cpu_seconds)
    limit_resources(path.stat().st_size, seconds)
    files = VerifiedFiles(Path(verified), reader_name())
    if writes != WRITES:
        return _verify(path, files, is_kept=False)
    busy = GeocacheError("another process verifies a file")
    with ExitStack() as stack:
        # Of many processes that start together one walks, and the others find its result.
        with suppress(OSError, GeocacheError):
            lock = exclusive_lock(files.path.with_suffix(".lock"), busy=busy, wait_seconds=seconds)
            stack.enter_context(lock)
        return _verify(path, files, is_kept=True)


def _verify(path: Path, files: VerifiedFiles, *, is_kept: bool) -> int:
    stamp = Stamp.of(path)
    if files.has(stamp):
        return 0
    sha256 = content_sha256(path)
    problem = "" if files.has_content(sha256) else walk(path)
    if not problem and Stamp.of(path) != stamp:
        problem = "changed while it was read"
    if problem:
        sys.stdout.write(problem)
        return 1
    sys.stdout.write(sha256)
    if is_kept:
        try:
            files.add(stamp, sha256)
        except OSError:
            return NOT_KEPT
    return 0


def limit_resources(byte_count: int, cpu_seconds: int) -> None:
    """Limit processor time and memory where the system can (POSIX), and write no core file."""
    try:
        import resource  # noqa: PLC0415 - Windows has no such module
    except ImportError:
        return
    for limit, value in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, byte_count + MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        # A limit that is lower already stays.
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except OSError:
        sys.stdout.write(UNREADABLE)
        sys.exit(1)
