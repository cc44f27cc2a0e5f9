"""Which numbers a setting may be: one table for ``manage.py check`` and for the admin."""

import sys
from dataclasses import dataclass
from typing import Any, Final

from geocache.languages import is_language

DAY_SECONDS: Final = 86_400
YEAR_SECONDS: Final = 365 * DAY_SECONDS
# A hundred years: beyond it there is no day to count from.
MAX_DAYS: Final = 36_525
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class Bounds:
    """From which number to which, both included; fractions unless ``is_whole``."""

    least: int
    most: int
    is_whole: bool = False

    def takes(self, value: Any) -> bool:
        """Tell whether ``value`` is one of these numbers: neither a truth value nor NaN is."""
        types = int if self.is_whole else int | float
        if isinstance(value, bool) or not isinstance(value, types):
            return False
        # NaN is not between them. An int may be too large for a float.
        return self.least <= value <= self.most

    @property
    def words(self) -> str:
        """Say what is taken, as in ``a whole number from 1 to 60``."""
        kind = "a whole number" if self.is_whole else "a number"
        return f"{kind} from {self.least:,} to {self.most:,}"


# With 0 hours the scheduler looks at lists each minute, with 0 days it fetches no database.
BOUNDS: Final[dict[str, Bounds]] = {
    "FLUSH_INTERVAL_SECONDS": Bounds(1, DAY_SECONDS),
    "FLUSH_TIME_LIMIT_SECONDS": Bounds(1, DAY_SECONDS),
    "UPDATE_TIME_LIMIT_SECONDS": Bounds(1, DAY_SECONDS),
    "REFRESH_TIME_LIMIT_SECONDS": Bounds(0, DAY_SECONDS),
    "IMPORT_TIME_LIMIT_SECONDS": Bounds(1, DAY_SECONDS),
    "TTL_SECONDS": Bounds(1, 10 * YEAR_SECONDS),
    "NOT_FOUND_TTL_SECONDS": Bounds(1, 10 * YEAR_SECONDS),
    "ROW_TTL_SECONDS": Bounds(1, 10 * YEAR_SECONDS),
    "MEMORY_SIZE": Bounds(0, 100_000_000, is_whole=True),
    "MEMORY_TTL_SECONDS": Bounds(0, DAY_SECONDS),
    "ASYNC_THREADS": Bounds(1, 1_000, is_whole=True),
    "ASYNC_QUERIES": Bounds(1, 10_000, is_whole=True),
    "BACKLOG_LIMIT": Bounds(0, 1_000_000_000, is_whole=True),
    "HISTORY_DAYS": Bounds(1, MAX_DAYS),
    "UPDATE_DAYS": Bounds(0, MAX_DAYS),
    "IMPORT_HOURS": Bounds(0, 24 * 365),
    "IMPORT_MAX_BYTES": Bounds(1024, 2**40, is_whole=True),
}
# These have checks of their own, which say more.
RETENTION_DAYS: Final = Bounds(0, MAX_DAYS, is_whole=True)
PREFIX_LENGTHS: Final = {
    "BAN_WIDEST_IPV4": Bounds(0, 32, is_whole=True),
    "BAN_WIDEST_IPV6": Bounds(0, 128, is_whole=True),
}
DAILY_QUOTA: Final = Bounds(0, 10**12, is_whole=True)


def is_score(value: Any) -> bool:
    """Tell whether it is a number that scores can be compared with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # Neither NaN nor an int that is too large for a float.
    return abs(value) <= sys.float_info.max


def is_languages(value: Any) -> bool:
    """Tell whether it is a list of codes such as ``de`` or ``pt-BR``."""
    return isinstance(value, list | tuple) and all(map(is_language, value))
