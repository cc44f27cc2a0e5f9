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

# Once True it stays so: what tests leave behind when they have ended is not the site's.
is_known = False
# With the process that has made each.
made_folders: Final[list[tuple[int, Path]]] = []


def is_this_process() -> bool:
    """Tell whether this process runs tests, or did.

    So it is with geocache's plug-in of pytest, and once Django's test environment was set up, as by
    ``manage.py test`` and pytest-django. No other process has these modules.
    """
    global is_known  # noqa: PLW0603 - as above
    if not is_known:
        is_known = PYTEST_PLUGIN in sys.modules or _has_django_set_up()
    return is_known


def _has_django_set_up() -> bool:
    # Django has no public way to ask. ``mail.outbox`` is also there where a site collects its mail.
    # Not by ``hasattr``, which takes longer than the rest of what finds the cache.
    utils = sys.modules.get(DJANGO_TESTS)
    return utils is not None and "saved_data" in vars(getattr(utils, "_TestState", utils))


@cache
def folder() -> Path:
    """Return the folder that stands in for ``VAR_DIR``; it goes with this process."""
    made = Path(tempfile.mkdtemp(prefix="geocache-test-run-"))
    made_folders.append((os.getpid(), made))
    return made


def remove_folders() -> None:
    """Remove what this process has made; a child that was forked leaves it to its parent."""
    for process_id, made in made_folders:
        if process_id == os.getpid():
            shutil.rmtree(made, ignore_errors=True)


# With the import, so that it runs at last: modules that are imported later write at the end, too.
atexit.register(remove_folders)
