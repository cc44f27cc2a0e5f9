"""How much an update may take: time, bytes, and one process at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from geocache.exceptions import UpdateError

MIN_BYTES: Final = 512
MAX_BYTES: Final = 4 * 2**30
CHUNK_BYTES: Final = 2**16


@dataclass(frozen=True, slots=True)
class Deadline:
    """Ends at a moment (of ``time.monotonic``), or when ``is_stopped`` says so.

    ``setting`` is the one that the moment follows from. ``is_stopped`` is called from any thread.
    """

    deadline: float
    is_stopped: Callable[[], bool] = lambda: False
    setting: str = "UPDATE_TIME_LIMIT_SECONDS"

    @property
    def remaining_seconds(self) -> float:
        """Return the seconds that are left, 0 when there are none."""
        return max(0.0, self.deadline - time.monotonic())

    def is_over(self) -> bool:
        """Tell whether it has ended."""
        return self.is_stopped() or time.monotonic() > self.deadline

    def check(self) -> None:
        """Raise ``UpdateError`` when it has ended."""
        if self.is_stopped():
            raise UpdateError("stopped before it was done")
        if self.is_over():
            raise UpdateError(f"not done within {self.setting}; the line or the service is slow")


def check_size(byte_count: int, max_bytes: int | None = None) -> None:
    """Raise ``UpdateError`` as soon as something is larger than it may be, or any database is."""
    if max_bytes is not None and byte_count > max_bytes:
        raise UpdateError(f"larger than {max_bytes:,} bytes; it is not read any further")
    if byte_count > MAX_BYTES:
        raise UpdateError(f"larger than {MAX_BYTES:,} bytes; that is no database")
