"""The jobs in a scheduler of APScheduler that the host project has, with any job store."""

from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from geocache import background, conf
from geocache.scheduler import registration

__all__ = ["add_jobs"]

RETRY_SECONDS: Final = 5.0

# Schedulers of this process, with the options that their jobs were added with.
schedulers: Final[WeakKeyDictionary[Any, dict[str, Any]]] = WeakKeyDictionary()
# Those that have not followed the last change yet: their job store may be away.
behind: Final[WeakSet[Any]] = WeakSet()


def add_jobs(scheduler: Any, **options: Any) -> list[str]:
    """Add the jobs that the settings want, remove those that they do not, and return the ids.

    Each is there once, however often this is called; jobs of others are left alone. ``options``
    such as ``jobstore`` and ``executor`` go to ``scheduler.add_job``. What is changed in the admin
    later reschedules, adds and removes jobs.
    """
    added = registration.add_jobs(scheduler, **options)
    schedulers[scheduler] = options
    # Some processes serve no request, and look up nothing.
    background.start()
    return added


def follow_again() -> None:
    """Have the schedulers follow that have failed to; raise what fails again."""
    for scheduler in list(behind):
        registration.follow_settings(scheduler, **schedulers[scheduler])
        behind.discard(scheduler)


def _follow(_: frozenset[str]) -> None:
    behind.update(schedulers)
    follow_again()


conf.on_change(_follow)
background.every("apscheduler", follow_again, RETRY_SECONDS)
