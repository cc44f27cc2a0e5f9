"""One process at a time on this machine, by a lock file."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from geocache.exceptions import GeocacheError

POLL_SECONDS: Final = 0.1


@contextmanager
def exclusive_lock(
    path: Path,
    *,
    busy: GeocacheError,
    wait_seconds: float = 0.0,
    waiting: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Hold the lock file ``path``, or raise ``busy`` when another keeps it for ``wait_seconds``.

    ``waiting`` is called before each further attempt. The kernel drops the lock with the process
    that holds it, however that ends.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - 25 ms that no other command has to wait

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock, waited_until = FileLock(path), time.monotonic() + wait_seconds
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except Timeout as error:
            if time.monotonic() >= waited_until:
                raise busy from error
        waiting()
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()
