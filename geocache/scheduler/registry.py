"""The decorator of our jobs: what they have in common, and when each runs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Final

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import close_old_connections

from geocache.exceptions import GeocacheError
from geocache.models.connection import DATABASE_ERRORS

# What can go wrong in use. Anything else is a defect: APScheduler logs its traceback.
KNOWN_ERRORS: Final = (GeocacheError, ImproperlyConfigured, OSError, *DATABASE_ERRORS)

Function = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A function that is run at an interval; its name is its stable id."""

    function: Function
    read_interval: Callable[[], int]
    is_enabled: Callable[[], object]

    @property
    def id(self) -> str:
        """Return the id in the job table."""
        return self.function.__name__

    @property
    def interval_seconds(self) -> int:
        """Return how often it runs by the present settings."""
        return self.read_interval()


# In the order of their definition.
registered: Final[list[Job]] = []


def job(
    *,
    interval_seconds: Callable[[], int],
    is_enabled: Callable[[], object] = lambda: True,
    silent: tuple[type[Exception], ...] = (),
    on_failure: Function = lambda: None,
) -> Callable[[Function], Function]:
    """Register a job; a known error of it becomes the event ``<its name>_failed``.

    The settings are read by callables, at each start of a scheduler. The errors in ``silent`` are
    not worth an event; after any other known one ``on_failure`` is called.
    """

    def decorate(function: Function) -> Function:
        # The events of a job have one logger, that of its module.
        log = structlog.get_logger(function.__module__)
        failed = f"{function.__name__}_failed"

        @wraps(function)
        def run() -> None:
            close_old_connections()
            try:
                function()
            except silent:
                pass
            except KNOWN_ERRORS as error:
                log.error(failed, error=str(error))
                on_failure()
            finally:
                close_old_connections()

        registered.append(Job(run, interval_seconds, is_enabled))
        return run

    return decorate
