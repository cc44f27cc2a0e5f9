"""Tell a run of tests, which must not touch the site's cache and its folder. Needs no Django."""

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

PYTEST_PLUGIN: Final = "geocache.testing.pytest_plugin"
DJANGO_TESTS: Final = "django.test.utils"

_has_begun = False


def has_begun() -> bool:
    """Tell whether this process runs tests, or did: what they leave behind is not the site's.

    So it is with geocache's plug-in of pytest, and once Django's test environment was set up, as by
    ``manage.py test`` and pytest-django. No other process has these modules.
    """
    global _has_begun  # noqa: PLW0603 - a process that has run tests stays one that has
    if not _has_begun:
        _has_begun = PYTEST_PLUGIN in sys.modules or _has_django_set_up()
    return _has_begun


def _has_django_set_up() -> bool:
    # Django has no public way to ask. ``mail.outbox`` is also there where a site collects its mail.
    state = getattr(sys.modules.get(DJANGO_TESTS), "_TestState", None)
    return hasattr(state, "saved_data")


@cache
def folder() -> Path:
    """Return the folder that stands in for ``VAR_DIR``; it goes with this process."""
    made = Path(tempfile.mkdtemp(prefix="geocache-test-run-"))
    atexit.register(_remove, made, os.getpid())
    return made


def _remove(made: Path, process_id: int) -> None:
    # Not at the end of a child that was forked.
    if os.getpid() == process_id:
        shutil.rmtree(made, ignore_errors=True)
