"""Load what the first request would wait for, before a process serves."""

import contextlib
from typing import Final

from django.urls import get_resolver

from geocache import under_test
from geocache.health import parts

# A process starts this much later where something hangs.
WARM_UP_SECONDS: Final = 2.0


def warm_up(seconds: float = WARM_UP_SECONDS) -> None:
    """Load all views, and open the databases of places, the cache and the database; never raises.

    In the process that serves: a thread and a connection do not survive a fork.
    """
    # What cannot be loaded is said by each request.
    with contextlib.suppress(Exception):
        _ = get_resolver().url_patterns
    if not under_test.is_this_process():
        parts.read(seconds)
