"""LOG_LEVEL: the level of the logger "geocache", put over what the project's LOGGING says."""

import logging
from typing import Final

from geocache import conf
from geocache.setting_bounds import LOG_LEVELS


class LoggerLevel:
    """The level that was there before, while another one is put over it."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._before: int | None = None

    def apply(self, name: str | None) -> None:
        """Set the level ``name``; None restores what was there."""
        if name in LOG_LEVELS:
            if self._before is None:
                self._before = self._logger.level
            self._logger.setLevel(name)
        elif self._before is not None:
            self._logger.setLevel(self._before)
            self._before = None


of_this_process: Final = LoggerLevel(logging.getLogger("geocache"))


def follow(changed: frozenset[str]) -> None:
    """Take the level that counts now, if it is among what has changed."""
    if "LOG_LEVEL" in changed:
        of_this_process.apply(conf.get("LOG_LEVEL"))


def register() -> None:
    """Take the level of the settings file, and follow each change."""
    conf.on_change(follow)
    of_this_process.apply(conf.peek("LOG_LEVEL"))
